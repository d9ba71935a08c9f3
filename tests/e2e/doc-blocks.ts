import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./stack-fixture.ts";

/** What a document says under a heading, down to the next one of that rank. */
export function readSection(document: string, heading: string): string {
  const text = readFileSync(join(root, document), "utf8");
  const from = text.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`${document} has no "${heading}"`);
  const [, section = ""] = /^\n#+ .*\n([\s\S]*?)(?=\n##? |$(?![\s\S]))/.exec(text.slice(from)) ?? [];
  return section;
}

/** The fenced blocks of one language under a heading of a document, as they are printed. */
export function readBlocks(document: string, heading: string, language: string): string[] {
  const fences = readSection(document, heading).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  const blocks = [...fences].filter(([, word]) => word === language).map(([, , block = ""]) => block);
  if (blocks.length === 0) throw new Error(`${document} has no ${language} under "${heading}"`);
  return blocks;
}
