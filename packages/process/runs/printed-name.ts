/**
 * Replaces characters of a file name that would move the cursor, break a line or reverse text in a terminal with `?`.
 */
export function printedName(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "?");
}
