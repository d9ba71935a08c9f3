import * as z from "zod";

/** JSON Schema as OpenAPI 3.1 has it: as much of it as the document uses. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  format?: string;
  pattern?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  description?: string;
  example?: unknown;
  examples?: unknown[];
  default?: unknown;
  required?: string[];
  properties?: Record<string, JsonSchema>;
  propertyNames?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
}

/** The schemas of a document. A schema that has an `id` is written once and referred to elsewhere. */
export interface SchemaBook {
  /** By name, in the order of their names. */
  readonly components: () => Record<string, JsonSchema>;
  /** `body` and `input` are what a request's body and its parameters may hold, `output` what an answer does. */
  readonly schemaOf: (schema: z.ZodType, io: "body" | "input" | "output") => JsonSchema;
}

/**
 * Converts with zod itself: zod-to-openapi copies a named schema wherever it has a description of its own, and makes it
 * nullable everywhere if its first use is. Throws where one name would mean two things.
 */
export function schemaBook(): SchemaBook {
  const components = new Map<string, JsonSchema>();
  const keep = (name: string, schema: JsonSchema) => {
    const knownComponent = components.get(name);
    if (knownComponent && JSON.stringify(knownComponent) !== JSON.stringify(schema))
      throw new Error(`${name} names two schemas`);
    components.set(name, schema);
  };
  return {
    components: () => Object.fromEntries([...components].sort(([name], [otherName]) => (name < otherName ? -1 : 1))),
    schemaOf(schema, io) {
      const { $defs = {}, $schema: _, ...whole } = convert(schema, io === "output" ? io : "input");
      const root = whole.$ref;
      for (const [name, part] of Object.entries($defs)) {
        const isBody = io === "body" && root === referenceTo(name).$ref;
        keep(name, tidied(isBody ? withNulls(part) : part));
      }
      return tidied(io === "body" ? withNulls(whole) : whole);
    },
  };
}

type WithDefinitions = JsonSchema & { readonly $defs?: Record<string, JsonSchema>; readonly $schema?: string };

function convert(schema: z.ZodType, io: "input" | "output"): WithDefinitions {
  const converted = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      // Of a schema that turns texts into numbers zod leaves the default out.
      const { def } = zodSchema._zod;
      if (def.type === "default") jsonSchema.default ??= def.defaultValue as never;
    },
  });
  return JSON.parse(JSON.stringify(converted).replaceAll('"#/$defs/', '"#/components/schemas/')) as WithDefinitions;
}

/** In a body null means absent: each optional field may be null (docs/apis/common.md#headers-and-bodies). */
function withNulls(schema: JsonSchema): JsonSchema {
  const { properties, required = [] } = schema;
  if (!properties) return schema;
  const fields = Object.entries(properties).map(([name, field]) => {
    const inner = withNulls(field);
    return [name, required.includes(name) || mayBeNull(inner) ? inner : orNull(inner)] as const;
  });
  return { ...schema, properties: Object.fromEntries(fields) };
}

function mayBeNull({ type, anyOf = [] }: JsonSchema): boolean {
  return [type].flat().includes("null") || anyOf.some(mayBeNull);
}

/**
 * Allows null beside a schema. Words, examples and the default stay on the field, but for an empty object: client
 * generators take none as the default of a union, and null means the same.
 */
function orNull({ description, default: usual, example, examples, ...schema }: JsonSchema): JsonSchema {
  const about = { description, default: typeof usual === "object" ? undefined : usual, example, examples };
  const told = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined));
  return { anyOf: [schema, { type: "null" }], ...told };
}

export function referenceTo(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/**
 * Without what says nothing (bounds of safe integers, names that are any text), without what would refuse a newer
 * server's keys, and without a pattern where the format says it better.
 */
function tidied(schema: JsonSchema): JsonSchema {
  const { example, propertyNames, additionalProperties, ...rest } = schema;
  const tidy: JsonSchema = rest;
  if (example !== undefined) tidy.examples = [example];
  if (tidy.maximum === Number.MAX_SAFE_INTEGER) delete tidy.maximum;
  if (tidy.minimum === Number.MIN_SAFE_INTEGER) delete tidy.minimum;
  if (tidy.format === "date-time") delete tidy.pattern;
  if (Number.isInteger(tidy.const)) tidy.type = "integer";
  if (propertyNames?.pattern !== undefined) tidy.propertyNames = propertyNames;
  if (typeof additionalProperties === "object") tidy.additionalProperties = tidied(additionalProperties);
  if (tidy.items) tidy.items = tidied(tidy.items);
  if (tidy.properties) {
    tidy.properties = Object.fromEntries(
      Object.entries(tidy.properties).map(([name, schema]) => [name, tidied(schema)]),
    );
  }
  return tidy.anyOf ? withoutNeedlessUnion({ ...tidy, anyOf: tidy.anyOf.map(tidied) }) : tidy;
}

/** A text or null is one schema of two types; an enum or a reference has to be named beside the null. */
function withoutNeedlessUnion({ anyOf = [], ...rest }: JsonSchema): JsonSchema {
  const [first, second] = anyOf;
  const isSimple = first && second?.type === "null" && anyOf.length === 2 && typeof first.type === "string";
  if (!isSimple || first.enum || first.const !== undefined || first.type === "object") return { ...rest, anyOf };
  return { ...first, ...rest, type: [String(first.type), "null"] };
}
