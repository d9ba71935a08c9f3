/** Control characters, those that turn or hide text, and line separators. */
const hostile = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu;

/** Returns a text that can neither move the cursor nor pretend to be another line. */
export function printable(text: string): string {
  return text.replace(hostile, "\uFFFD");
}

/**
 * Tags a sentence that holds fields of an answer: each of them becomes printable. Throws a TypeError, which people read
 * as an odd answer, if the deployment left one out.
 */
export function told(texts: TemplateStringsArray, ...fields: readonly (string | number | boolean)[]): string {
  const shown = fields.map((field: unknown) => {
    if (field !== null && /^(string|number|boolean)$/.test(typeof field)) return printable(String(field));
    throw new TypeError("a field is missing");
  });
  return String.raw({ raw: texts }, ...shown);
}

/**
 * Returns a boolean field of an answer. Throws like `told` if the field is missing, because undefined would mean no.
 */
export function booleanField(field: boolean): boolean {
  if (typeof field === "boolean") return field;
  throw new TypeError("a field is missing");
}

/** Returns JSON that a terminal may show: hostile characters are escaped, so the value stays the same. */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(hostileInJson, (found) =>
    Array.from({ length: found.length }, (_, at) => escapeUnit(found.charCodeAt(at))).join(""),
  );
}

/** JSON itself escapes the controls below U+0020. The line breaks of an indent stay. */
const hostileInJson = /[^\P{Cc}\n]|[\p{Cf}\p{Co}\u2028\u2029]/gu;

function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}

/** Returns the text of a log for a terminal: colours and other escape sequences are dropped, lines stay. */
export function printableLog(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
  const withoutSequences = text.replace(/\u001B\[[0-9;:]*[ -/]*[@-~]/g, "");
  return withoutSequences.replace(/[^\P{C}\n\r\t\u200C\u200D]|[\u2028\u2029]/gu, "\uFFFD");
}

/** Returns a time span in the two largest units that matter. Throws a RangeError if the time is missing. */
export function timeSpan(ms: number): string {
  if (Number.isNaN(ms)) throw new RangeError("a time is missing");
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 1) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.round(hours / 24)} days`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads `90m`, `1.5h` or `30s`. A number alone is in the given unit. */
export function parseDuration(text: string, unit: "s" | "h"): number {
  const [, digits, letter = unit] = /^(\d+(?:\.\d+)?|\.\d+)([smhd])?$/.exec(text) ?? [];
  const seconds = Number(digits) * (unitSeconds[letter] ?? Number.NaN);
  if (!(seconds > 0)) throw new Error(`'${printable(text)}' is not a duration: write 90m, 1.5h or 30s`);
  return seconds;
}

/** Returns one command line for a shell. A single word is such a line already, so it is not quoted. */
export function shellCommand(words: readonly string[]): string {
  const [only = ""] = words;
  if (words.length < 2) return only;
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellWord(word))).join(" ");
}

/** Quotes a word so that every POSIX shell reads it unchanged. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
