const TELL = `{ pwd >"\${BERTH_DIRECTORY_FILE:-/dev/null}"; } 2>/dev/null`;
/** A variable that is unset and set again is the shell's alone (POSIX, 2.14, unset): what the text starts has none. */
const KEEP = 'set -- "$BERTH_DIRECTORY_FILE" "$@"; unset BERTH_DIRECTORY_FILE; BERTH_DIRECTORY_FILE=$1; shift';
const WRAPPER = `${KEEP}; ${TELL}; trap '${TELL}' EXIT; eval "shift;$1"`;

/**
 * The words that run a user's text by /bin/sh, as `sh -c` would, and tell where it left its shell (`directory` of an
 * exec). The text is an argument and never part of a script; the wrapper writes nothing and changes no exit code.
 */
export function shellWords(text: string): string[] {
  return ["/bin/sh", "-c", WRAPPER, "sh", text];
}
