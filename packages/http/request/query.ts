import * as z from "zod";

export function readQuery(url: string): Record<string, string> {
  const start = url.indexOf("?");
  if (start === -1) return {};
  const end = url.indexOf("#", start);
  return readPairs(url.slice(start + 1, end === -1 ? undefined : end));
}

export function readPairs(text: string): Record<string, string> {
  const pairs = text.split("&").filter((pair) => pair !== "");
  return Object.fromEntries(pairs.map(readPair));
}

/**
 * Returns the schema of a query value that must be an integer within bounds. `.optional()` and `.default()` go on
 * top.
 */
export function wholeNumber(minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) {
  return z.preprocess(numberOfDigits, z.int().min(minimum).max(maximum));
}

function numberOfDigits(text: unknown): unknown {
  return typeof text === "string" && /^[+-]?\d+$/.test(text) ? Number(text) : text;
}

function readPair(pair: string): [string, string] {
  const equals = pair.indexOf("=");
  if (equals === -1) return [decode(pair), ""];
  return [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
}

function decode(text: string): string {
  const spaced = text.replaceAll("+", " ");
  return spaced.includes("%") ? spaced.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeRun) : spaced;
}

/** Keeps invalid UTF-8 as written. */
function decodeRun(run: string): string {
  try {
    return decodeURIComponent(run);
  } catch {
    return run;
  }
}
