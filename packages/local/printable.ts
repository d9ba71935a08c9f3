/** Without control and invisible characters, which could write over other lines or call a terminal's functions. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}
