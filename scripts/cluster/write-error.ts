import { printableText } from "#core/text/printable-text.ts";

/** Writes lines for people to standard error, without control characters. */
export function writeError(text: string): void {
  for (const line of text.split("\n")) process.stderr.write(`${printableText(line)}\n`);
}
