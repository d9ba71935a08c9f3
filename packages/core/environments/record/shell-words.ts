const TELL = `{ pwd >"\${BERTH_DIRECTORY_FILE:-/dev/null}"; } 2>/dev/null`;
const WRAPPER = `${TELL}; trap '${TELL}' EXIT; eval "shift;$1"`;

/**
 * The words that run a user's text by /bin/sh, as `sh -c` would, and tell where it left its shell (`directory` of an
 * exec). The text is an argument and never part of a script; the wrapper writes nothing and changes no exit code.
 */
export function shellWords(text: string): string[] {
  return ["/bin/sh", "-c", WRAPPER, "sh", text];
}
