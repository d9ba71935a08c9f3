import { errorCodes } from "#core/problem.ts";
import type { Catalog, Entry } from "#http/catalog.ts";
import type { DialectName } from "#http/dialect.ts";
import type { Endpoint, Schema } from "#http/endpoint.ts";
import { ERROR_HEADER } from "#http/error-code.ts";
import type { NounDocument } from "#http/noun-document.ts";
import { version } from "#http/version.ts";
import { describer } from "./openapi-descriptions.ts";
import { introduction } from "./openapi-introduction.ts";
import { type OperationParts, operationOf } from "./openapi-operation.ts";
import { problemName, problemSchemas } from "./openapi-problems.ts";
import { schemaBook } from "./openapi-schemas.ts";
import { type Tag, tags } from "./openapi-tags.ts";

/** What the document needs of each folder of functions, by the folder's name: `gpu-dev/jobs`. */
export type NounDocuments = ReadonlyMap<string, NounDocument>;

/** The `parts/document.ts` of each folder of endpoints. */
export async function loadNounDocuments({ endpoints }: Pick<Catalog, "endpoints">): Promise<NounDocuments> {
  const folders = [...new Set(endpoints.map(({ name }) => folderOf(name)))];
  return new Map(
    await Promise.all(
      folders.map(async (folder) => {
        const { document } = await import(new URL(`../functions/${folder}/parts/document.ts`, import.meta.url).href);
        return [folder, document as NounDocument] as const;
      }),
    ),
  );
}

/**
 * openapi.json: the operations in the order of their tags, and within one in that of its documents. Throws where an
 * endpoint, a field or a word about either has no counterpart.
 */
export function openApiDocument({ endpoints }: Pick<Catalog, "endpoints">, documents: NounDocuments): object {
  const book = schemaBook(namedParts(documents));
  const words = describer(documents);
  const calls = endpoints.filter((entry) => !isPage(entry, documents));
  const operations = calls.map((entry) => ({ entry, parts: partsOf(entry, documents) })).sort(byPlace);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { entry, parts } of operations) {
    const { path, method } = entry.declaration;
    paths[path] = { ...paths[path], [method]: operationOf(entry.declaration, parts, book, words) };
  }
  const dialects = [...new Set(calls.map(({ declaration }) => declaration.dialect.name))].sort();
  const schemas = { ...book.components(), ...problemComponents(dialects) };
  for (const [name, schema] of Object.entries(schemas)) words.describeComponent(name, schema);
  words.finish();
  const used = new Set(operations.map(({ parts }) => parts.document.tag));
  return {
    openapi: "3.1.0",
    info: {
      title: "Berth",
      version,
      summary: "GPU and CPU development environments on AWS.",
      description: introduction,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "Where this document comes from" }],
    tags: Object.entries(tags).flatMap(([name, description]) => (used.has(name) ? [{ name, description }] : [])),
    paths,
    components: { headers: { [ERROR_HEADER]: errorHeader }, schemas, securitySchemes },
  };
}

/** docs/apis/common.md#error-codes. */
const errorHeader = {
  description: "What kind of problem it is: one word, the same in every API. New words may come.",
  schema: { type: "string", examples: errorCodes },
};

const securitySchemes = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "An API key, as `Authorization: Bearer <key>`. This field alone is enough.",
  },
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "The same key in a header of its own." },
};

function partsOf({ name }: Entry<Endpoint>, documents: NounDocuments): OperationParts {
  const folder = folderOf(name);
  const verb = name.slice(folder.length + 1);
  const document = documents.get(folder);
  const words = document?.operations[verb];
  if (!document || !words) throw new Error(`functions/${folder}/parts/document.ts says nothing of ${verb}`);
  return { document, words, folder, verb };
}

function isPage({ name }: Entry<Endpoint>, documents: NounDocuments): boolean {
  const folder = folderOf(name);
  return documents.get(folder)?.pages?.includes(name.slice(folder.length + 1)) ?? false;
}

function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf("/"));
}

interface Placed {
  readonly entry: Entry<Endpoint>;
  readonly parts: OperationParts;
}

function byPlace(one: Placed, other: Placed): number {
  const [a, b] = [placeOf(one), placeOf(other)];
  const at = a.findIndex((part, index) => part !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1;
}

function placeOf({ parts: { document, folder, verb } }: Placed): readonly (number | string)[] {
  const tag = Object.keys(tags).indexOf(document.tag satisfies string as Tag);
  if (tag === -1) throw new Error(`${document.tag} is no tag of scripts/openapi-tags.ts`);
  return [tag, folder, Object.keys(document.operations).indexOf(verb)];
}

function namedParts(documents: NounDocuments): ReadonlyMap<Schema, string> {
  const named = [...documents.values()].flatMap(({ schemas = {} }) => Object.entries(schemas));
  return new Map(named.map(([name, schema]) => [schema, name]));
}

function problemComponents(dialects: readonly DialectName[]) {
  return Object.fromEntries(
    dialects.flatMap((dialect) => Object.entries(problemSchemas[dialect](problemName(dialect)))),
  );
}
