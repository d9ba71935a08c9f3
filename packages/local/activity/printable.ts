import { printableText } from "#core/text/printable-text.ts";

/** Formats an error message for a terminal. It may quote a setting, a file or another server. */
export function printableError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").map(printableText).join("\n");
}
