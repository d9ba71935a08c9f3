import type { Log } from "#core/ports/log.ts";

/** Writes one JSON object per line, by default to stdout. Fields that may hold a secret become "***". */
export function jsonLog(write: (line: string) => void = (line) => process.stdout.write(line)): Log {
  const at =
    (level: string) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      const line = { time: new Date().toISOString(), level, event, ...(redacted(fields) as object) };
      write(`${printableJson(line)}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

const secretName =
  /secret|token|password|authorization|cookie|credential|api[-_]?key|access[-_]?key|env[-_]?vars|sealed/i;
// A Berth key is 86 characters of base64url; an AWS key id begins with AKIA or ASIA. The lookbehind avoids quadratic
// time on long texts. Clients also write /K/<key> and escape any character of it.
const secretText =
  /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{86,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b|(?:\/|%2[fF])(?:[kK]|%[46][bB])(?:\/|%2[fF])[^/\s]+/g;
const maxDepth = 8;

export function redacted(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return value.replace(secretText, "***");
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === maxDepth) return "…";
  if (Array.isArray(value)) return value.map((each) => redacted(each, depth + 1));
  if (value instanceof Error) return redactedError(value, depth);
  const fields = Object.entries(value).map(([name, field]) => [
    name,
    secretName.test(name) ? "***" : redacted(field, depth + 1),
  ]);
  return Object.fromEntries(fields);
}

function redactedError(error: Error, depth: number): unknown {
  const { name, message, stack, cause } = error;
  return redacted({ name, message, stack, ...(cause === undefined ? {} : { cause }) }, depth + 1);
}

/** Returns JSON for a terminal: controls from U+007F on and invisible characters, which JSON keeps, become \uXXXX. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
