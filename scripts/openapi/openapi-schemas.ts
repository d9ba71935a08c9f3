import * as z from "zod";

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

/** Schemas of a document. A schema with an `id` is written once and referenced elsewhere. */
export interface SchemaBook {
  readonly components: () => Record<string, JsonSchema>;
  /** Converts a schema: `body` and `input` for a request's body and parameters, `output` for a response. */
  readonly schemaOf: (schema: z.ZodType, io: "body" | "input" | "output") => JsonSchema;
}

/**
 * Converts with zod itself. zod-to-openapi copies a named schema wherever it has its own description, and makes it
 * nullable everywhere if its first use is. Throws if one name would mean two things.
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
      // zod omits the default of a schema that converts text to a number.
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
 * Allows null beside a schema. Description, examples and default stay on the field, except an empty object as default:
 * client generators accept none for a union, and null means the same.
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
 * Removes bounds of safe integers and names of any text, closed key sets, which reject a newer server's keys, and a
 * pattern that repeats the format.
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

/** Writes "text or null" as one schema with two types. An enum or a reference needs a union. */
function withoutNeedlessUnion({ anyOf = [], ...rest }: JsonSchema): JsonSchema {
  const [first, second] = anyOf;
  const isSimple = first && second?.type === "null" && anyOf.length === 2 && typeof first.type === "string";
  if (!isSimple || first.enum || first.const !== undefined || first.type === "object") return { ...rest, anyOf };
  return { ...first, ...rest, type: [String(first.type), "null"] };
}
