/**
 * Returns JSON without `//` and block comments outside strings, in one pass. An unclosed block comment stays, so that
 * the parser refuses it.
 */
export function withoutComments(text: string): string {
  let kept = "";
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const end = text[at] === "/" ? endOfComment(text, at) : undefined;
    if (end === -1) return text;
    if (end === undefined) {
      at = text[at] === '"' ? endOfString(text, at) : at + 1;
      continue;
    }
    kept += `${text.slice(from, at)} `;
    from = end;
    at = end;
  }
  return kept + text.slice(from);
}

/** Returns the end of the comment that begins here: undefined if none begins, -1 if it is not closed. */
function endOfComment(text: string, start: number): number | undefined {
  if (text.startsWith("//", start)) {
    const newline = text.indexOf("\n", start);
    return newline === -1 ? text.length : newline;
  }
  if (!text.startsWith("/*", start)) return undefined;
  const end = text.indexOf("*/", start + 2);
  return end === -1 ? -1 : end + 2;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
