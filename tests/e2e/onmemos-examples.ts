import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Block of the document with its headings, such as `cURL Examples / Delete Session`. */
export interface Example {
  readonly at: string;
  readonly language: string;
  readonly text: string;
}

/** Matches a heading or a block. */
const part = /^(#+) (.+)$|^```(\w*)\n([\s\S]*?)^```$/gm;

/** All blocks of the document. */
export const examples = examplesIn(readFileSync(join(import.meta.dirname, "onmemos-examples.md"), "utf8"));

export function examplesIn(document: string): Example[] {
  const headings: string[] = [];
  return Array.from(document.matchAll(part)).flatMap(([, level, heading = "", language = "", text = ""]) => {
    if (level === undefined) return [{ at: headings.slice(1).join(" / "), language, text }];
    headings.splice(level.length - 1, headings.length, heading);
    return [];
  });
}

/** Returns the text of the only example below these headings. */
export function exampleAt(at: string): string {
  const [found, ...more] = examples.filter((example) => example.at === at);
  if (!found || more.length > 0) throw new Error(`The document has ${more.length + (found ? 1 : 0)} examples at ${at}`);
  return found.text;
}

/** Request as the document prints it. */
export interface PrintedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export function requestAt(at: string): PrintedRequest {
  const [head = "", body] = exampleAt(at).trimEnd().split("\n\n");
  const [line = "", ...headers] = head.split("\n");
  // Printed paths may have spaces.
  const [, method = "", path = ""] = /^([A-Z]+) (\/.*)$/.exec(line) ?? [];
  return { method, path, headers: Object.fromEntries(headers.map((header) => header.split(": "))), body };
}
