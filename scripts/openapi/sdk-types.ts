import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import * as z from "zod";

const tags: readonly string[] = [
  "Jobs",
  "Disks",
  "Capacity",
  "Keys",
  "Browser",
  "Me",
  "Login",
  "Webhooks",
  "Admin",
  "Health",
];

interface Generator {
  readonly default: (document: unknown, options: object) => Promise<unknown>;
  readonly astToString: (nodes: unknown) => string;
}

const Operation = z.looseObject({ tags: z.array(z.string()).optional() });
const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
});

/**
 * Returns the TypeScript types of the SDK's part of openapi.json. openapi-typescript needs TypeScript 5, which only the
 * workspace tools/openapi has, so it is loaded from there.
 */
export async function sdkTypes(document: unknown): Promise<string> {
  const require = createRequire(new URL("../../tools/openapi/package.json", import.meta.url));
  const place = pathToFileURL(require.resolve("openapi-typescript/dist/index.mjs"));
  const { default: generate, astToString }: Generator = await import(place.href);
  const nodes = await generate(sdkDocument(document), { defaultNonNullable: false, silent: true });
  return `// Generated from openapi.json by \`npm run generate\`. Do not edit.\n${astToString(nodes)}`;
}

function sdkDocument(document: unknown): unknown {
  const { paths, components, ...rest } = Document.parse(withoutExamples(document));
  const kept = Object.fromEntries(Object.entries(paths).filter(([, operations]) => isOfSdk(operations)));
  return {
    ...rest,
    paths: {},
    components: { ...components, schemas: usedSchemas(kept, components.schemas) },
  };
}

function isOfSdk(operations: Readonly<Record<string, unknown>>): boolean {
  return Object.values(operations).some((operation) => {
    return Operation.safeParse(operation).data?.tags?.some((tag) => tags.includes(tag)) ?? false;
  });
}

function withoutExamples(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (name, inner) => (name === "examples" || name === "example" ? undefined : inner)),
  );
}

function usedSchemas(paths: unknown, schemas: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const used = new Set<string>();
  const open: unknown[] = [paths];
  while (open.length > 0) {
    for (const [, name = ""] of JSON.stringify(open.pop()).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      open.push(schemas[name] ?? null);
    }
  }
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
}
