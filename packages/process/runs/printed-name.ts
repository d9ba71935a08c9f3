/** Replaces characters that would move a terminal's cursor, break a line or reverse text with `?`. */
export function printedName(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "?");
}
