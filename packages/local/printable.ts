/** Without control and invisible characters, which could write over other lines or call a terminal's functions. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}

/** Why something failed, in its own lines: it may repeat what a setting, a file or another server said. */
export function printableError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").map(printable).join("\n");
}
