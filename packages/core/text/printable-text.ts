/** Text without control and invisible characters, which could overwrite other lines or call a terminal's functions. */
export function printableText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}
