import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { goneWords } from "./linting/gone-words.ts";
import { wrongImports } from "./linting/layer-rules.ts";

/** Checks of `npm run lint` besides biome: imports between layers, and retired words. */
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const listLines = (pattern: string | string[], rule: (file: string, text: string) => string[]) =>
  globSync(pattern)
    .toSorted()
    .flatMap((file) => rule(file.replaceAll("\\", "/"), readFileSync(file, "utf8")));
const code = "{packages,functions,scripts,tests}/**/*.{ts,tsx}";
const words = [code, "stacks/**/*.ts", "{docs,packages,deploy}/**/*.{md,py,sh,yaml}", "*.md"];
const wrong = [
  ...listLines(code, wrongImports),
  ...listLines(words, goneWords).filter((line) => !line.startsWith("scripts/linting/gone-words")),
];
for (const line of wrong) console.error(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
