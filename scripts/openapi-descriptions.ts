import type { NounDocuments } from "./openapi-document.ts";
import { commonFields, problemFields } from "./openapi-fields.ts";
import type { JsonSchema } from "./openapi-schemas.ts";

/** Gives every property its words, and knows what has none and which words nobody asked for. */
export interface Describer {
  /** A parameter of a query that means something else than the field of its name has words as `query.<name>`. */
  readonly parameter: (folder: string, place: string, name: string) => string;
  /** The properties of a schema that has no name. */
  readonly describe: (folder: string, schema: JsonSchema) => void;
  readonly describeComponent: (name: string, schema: JsonSchema) => void;
  /** Throws what was missing, and which words are left over. */
  readonly finish: () => void;
}

export function describer(documents: NounDocuments): Describer {
  const owners = ownersOf(documents);
  const used = new Set<string>();
  const missing = new Set<string>();

  const wordsFor = (folder: string | undefined, names: readonly string[]): string => {
    const document = folder === undefined ? undefined : documents.get(folder);
    const own = document?.fields ?? problemFields;
    const name = names.find((one) => own[one] !== undefined);
    if (name !== undefined) used.add(`${folder} ${name}`);
    const last = names.at(-1) ?? "";
    const words = name === undefined ? (document?.also?.fields[last] ?? commonFields[last]) : own[name];
    if (words === undefined) missing.add(`${folder ?? "problems"}: ${names[0]}`);
    return words ?? "";
  };
  const describe = (folder: string | undefined, schema: JsonSchema, path: readonly string[]): void => {
    const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => {
      const names = path.map((_, at) => [...path.slice(at), name].join("."));
      const described = { ...property, description: property.description ?? wordsFor(folder, [...names, name]) };
      describe(folder, described, [...path, name]);
      return [name, described] as const;
    });
    // Copies: one object may stand for several properties, each with words of its own.
    if (schema.properties) schema.properties = Object.fromEntries(properties);
    for (const part of partsOf(schema)) describe(folder, part, path);
  };
  return {
    parameter: (folder, place, name) => wordsFor(folder, [`${place}.${name}`, name]),
    describe: (folder, schema) => describe(folder, schema, []),
    describeComponent: (name, schema) => describe(owners.get(name), schema, [name]),
    finish() {
      const fields = [...documents].flatMap(([folder, document]) =>
        Object.keys(document.fields).map((one) => `${folder} ${one}`),
      );
      const unused = fields.filter((one) => !used.has(one));
      if (missing.size > 0) throw new Error(`Nobody says what these are:\n${[...missing].join("\n")}`);
      if (unused.length > 0) throw new Error(`Nothing has these fields:\n${unused.join("\n")}`);
    },
  };
}

/** The folder whose words a named schema takes: that which lists it, else the first whose operations name it. */
function ownersOf(documents: NounDocuments): Map<string, string> {
  const owners = new Map<string, string>();
  const own = (folder: string, names: readonly (string | undefined)[]) => {
    for (const name of names) if (name !== undefined && !owners.has(name)) owners.set(name, folder);
  };
  for (const [folder, { schemas = {} }] of documents) own(folder, Object.keys(schemas));
  for (const [folder, { operations }] of documents) {
    for (const { body, reply } of Object.values(operations)) own(folder, [body, reply]);
  }
  return owners;
}

function partsOf({ items, anyOf = [], additionalProperties }: JsonSchema): JsonSchema[] {
  const values = typeof additionalProperties === "object" ? [additionalProperties] : [];
  return [...(items ? [items] : []), ...anyOf, ...values];
}
