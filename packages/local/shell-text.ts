import { printableText } from "#core/text/printable-text.ts";

export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

export function shellWord(path: string): string {
  return /^[\w./@%+:,-]+$/.test(path) ? path : quoted(path);
}

export function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** Formats an error message for a terminal. It may quote a setting, a file or another server. */
export function printableError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n").map(printableText).join("\n");
}
