import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./stack-fixture.ts";

/** Returns a document's text below a heading, up to the next heading of that level. */
export function readSection(document: string, heading: string): string {
  const text = readFileSync(join(root, document), "utf8");
  const from = text.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`${document} has no "${heading}"`);
  const [, section = ""] = /^\n#+ .*\n([\s\S]*?)(?=\n##? |$(?![\s\S]))/.exec(text.slice(from)) ?? [];
  return section;
}

/** Returns the fenced blocks of one language below a heading of a document. */
export function readBlocks(document: string, heading: string, language: string): string[] {
  const fences = readSection(document, heading).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  const blocks = [...fences].filter(([, word]) => word === language).map(([, , block = ""]) => block);
  if (blocks.length === 0) throw new Error(`${document} has no ${language} under "${heading}"`);
  return blocks;
}
