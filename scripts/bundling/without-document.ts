import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "esbuild";

/** The checkout itself may lie below a folder of that name. */
const functions = fileURLToPath(new URL("../../functions/", import.meta.url));

/** Replacement of zod-openapi in servers, where a route is plain data. */
export const routeStub = "export const createRoute = (route) => route;";

/**
 * Removes code that only the generator of openapi.json needs: zod-openapi, which is a third of a bundle, and examples,
 * descriptions and names of schemas, which are 1 %.
 */
export const withoutDocument: Plugin = {
  name: "without-document",
  setup({ onLoad }) {
    onLoad({ filter: /@hono\/zod-openapi\/dist\/index\.mjs$/ }, () => ({ contents: routeStub, loader: "js" }));
    onLoad({ filter: /\/functions\/.*\.ts$/ }, ({ path }) =>
      path.startsWith(functions) ? { contents: withoutWords(readFileSync(path, "utf8")), loader: "ts" } : undefined,
    );
  },
};

/**
 * Removes what only names, describes or shows a schema: `.meta({ id: "Job" })`, `.describe("Words" + "and more")`, and
 * the examples in `jsonReply(Job, { … })`. esbuild then drops examples that several routes share, unless they spread
 * others. Line numbers stay, because stack traces show them.
 */
export function withoutWords(source: string): string {
  return withoutExamples(source).replaceAll(naming, keepLines).replaceAll(describing, keepLines);
}

const naming = /\s*\.meta\(\{ id: "\w+" \}\)/g;
const text = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/.source;
const describing = new RegExp(`\\s*\\.describe\\(\\s*(?:${text})(?:\\s*\\+\\s*(?:${text}))*,?\\s*\\)`, "g");

const declaration = /\b(?:jsonBody|jsonReply|problemReply)\(/;
const token = new RegExp(`//.*|${text}|\`(?:[^\`\\\\]|\\\\.)*\`|[([{}\\]),]`, "g");

/** Keeps only the first argument of calls that declare a body. */
function withoutExamples(source: string): string {
  const [before = "", ...calls] = source.split(declaration);
  const names = source.match(new RegExp(declaration, "g")) ?? [];
  return before + calls.map((rest, at) => `${names[at]}${withoutFurtherArguments(rest)}`).join("");
}

function withoutFurtherArguments(rest: string): string {
  let depth = 0;
  let firstEnd: number | undefined;
  for (const { 0: part, index } of rest.matchAll(token)) {
    if ("([{".includes(part)) depth++;
    if (")]}".includes(part)) depth--;
    if (depth < 0) {
      const end = firstEnd ?? index;
      return rest.slice(0, end) + keepLines(rest.slice(end, index)) + rest.slice(index);
    }
    if (part === "," && depth === 0) firstEnd ??= index;
  }
  throw new Error(`A call that declares a body does not end: ${rest.slice(0, 80)}`);
}

function keepLines(removed: string): string {
  return removed.replaceAll(/[^\n]+/g, "");
}
