/** Replaces control and invisible characters, which could overwrite other lines or control a terminal. */
export function printableText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}
