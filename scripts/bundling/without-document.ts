import { readFileSync } from "node:fs";
import type { Plugin } from "esbuild";

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
    onLoad(examples, loadNone);
    onLoad({ filter: /\/functions\/.*\.ts$/ }, ({ path }) => ({
      contents: withoutWords(readFileSync(path, "utf8")),
      loader: "ts",
    }));
  },
};

export const withoutExamples: Plugin = {
  name: "without-examples",
  setup: ({ onLoad }) => onLoad(examples, loadNone),
};

const examples = { filter: /\/functions\/.*\/internal\/examples\.ts$/ };

/** Exports an empty object under each name, so that a route still finds its examples. */
function loadNone({ path }: { readonly path: string }) {
  const names = [...readFileSync(path, "utf8").matchAll(/^export const (\w+) = /gm)].map(([, name]) => name);
  return { contents: names.map((name) => `export const ${name} = {};`).join("\n"), loader: "js" } as const;
}

/** Removes the calls that only name or describe a schema: `.meta({ id: "Job" })`, `.describe("Words" + "and more")`. */
export function withoutWords(source: string): string {
  return source.replaceAll(naming, "").replaceAll(describing, "");
}

const naming = /\s*\.meta\(\{ id: "\w+" \}\)/g;
const text = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/.source;
const describing = new RegExp(`\\s*\\.describe\\(\\s*(?:${text})(?:\\s*\\+\\s*(?:${text}))*,?\\s*\\)`, "g");
