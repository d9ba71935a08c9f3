/** A file may have any name: what would move a terminal's cursor, break a line or turn it around is shown as `?`. */
export function printedName(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "?");
}
