import { printableText } from "#core/text/printable-text.ts";

/** Why something failed, in its own lines: it may repeat what a setting, a file or another server said. */
export function printableError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").map(printableText).join("\n");
}
