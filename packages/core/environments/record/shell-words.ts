const TELL = `{ pwd >"\${BERTH_DIRECTORY_FILE:-/dev/null}"; } 2>/dev/null`;
/** Set again after unset, a variable is no longer exported (POSIX, 2.14, unset). */
const KEEP = 'set -- "$BERTH_DIRECTORY_FILE" "$@"; unset BERTH_DIRECTORY_FILE; BERTH_DIRECTORY_FILE=$1; shift';
const WRAPPER = `${KEEP}; ${TELL}; trap '${TELL}' EXIT; eval "shift;$1"`;

/**
 * Returns the words that run a text like `sh -c` and record its final directory. The text is an argument, never part of
 * a script. The wrapper prints nothing and keeps the exit code.
 */
export function splitShellCommand(text: string): string[] {
  return ["/bin/sh", "-c", WRAPPER, "sh", text];
}
