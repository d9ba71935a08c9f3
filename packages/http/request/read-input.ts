import type * as z from "zod";
import { HttpError } from "../answers/http-error.ts";
import { ignoredNames, shownNames } from "../answers/ignored.ts";
import type { Endpoint, Schema } from "../endpoint.ts";
import { fieldNames, fieldSchema, isRequired, schemaAt } from "../schema.ts";
import { readObject, requireSmallBody } from "./body.ts";
import { type FieldLocation, fieldProblems, ownMessagesOnly } from "./field-problems.ts";
import type { PlainRequest } from "./plain-request.ts";
import { readQuery } from "./query.ts";
import { knownPart } from "./redact-unknown.ts";
import type { Routed } from "./request-handler.ts";
import { misspeltFields } from "./unknown-fields.ts";

export interface Input {
  readonly query: unknown;
  readonly body: unknown;
  readonly params: unknown;
  readonly ignored: readonly string[];
  readonly rawBody: unknown;
}

/** Parses the path last: bad fields are reported before an id that names nothing. */
export async function readInput(
  endpoint: Endpoint,
  schema: Schema | undefined,
  request: PlainRequest,
  params: Routed["params"],
): Promise<Input> {
  requireSmallBody(request.headers);
  const query = readQuery(request.url);
  const body = await readBody(endpoint, request, query);
  const { form, keyInQuery } = endpoint;
  const names = form ? [] : ignoredNames(endpoint.query, query);
  return {
    ignored: shownNames([
      ...names.filter((name) => !(keyInQuery && name === "api_key")),
      ...(readsBody(endpoint) ? ignoredNames(schema, body) : []),
    ]),
    query: endpoint.query && parseFields(endpoint, endpoint.query, query, "query"),
    rawBody: body,
    body: schema && requireStorableText(endpoint, schema, body, parseFields(endpoint, schema, body, "body")),
    params: endpoint.params && parseParams(endpoint.params, params),
  };
}

async function readBody(
  endpoint: Endpoint,
  request: PlainRequest,
  query: Record<string, string>,
): Promise<Record<string, unknown>> {
  if (!readsBody(endpoint)) return {};
  const { form, dialect } = endpoint;
  const body = await readObject(request, { comments: dialect.commentsInJson, form });
  return form ? { ...body, ...query } : body;
}

/** POST and PUT refuse a body that is not JSON even if they declare none. GET and DELETE then ignore it. */
function readsBody({ method, body }: Endpoint): boolean {
  return body !== undefined || method === "post" || method === "put";
}

/**
 * Answers 404 for a malformed id, like for an unknown one. An id with NUL names nothing, and is kept out of audits.
 */
function parseParams(schema: Schema, params: Routed["params"]): unknown {
  const parsed = schema.safeParse(params);
  if (!parsed.success || brokenTextIn(parsed.data)) throw new HttpError("unknownPath");
  return parsed.data;
}

/**
 * Refuses NUL and unpaired surrogates, which the table cannot store. Endpoints with forms run commands, whose input
 * is passed on unchanged.
 */
function requireStorableText(
  { form }: Endpoint,
  schema: Schema,
  input: Record<string, unknown>,
  body: unknown,
): unknown {
  const broken = form ? undefined : brokenTextIn(body);
  if (!broken) return body;
  const message = `${broken.join(".") || "The body"} must not hold NUL characters or unpaired surrogates`;
  const field = {
    type: "value_error",
    path: ["body", ...broken],
    message,
    input: knownPart(input[String(broken[0])], schemaAt(schema, broken.slice(0, 1))),
    isOwn: true,
  };
  throw new HttpError("badFields", { fields: [field] });
}

function parseFields(
  { misspelt, instead }: Endpoint,
  schema: Schema,
  input: Record<string, unknown>,
  place: FieldLocation,
): unknown {
  const parsed = schema.safeParse(withoutNulls(schema, input), ownMessagesOnly);
  // If ignored, a misspelt field acts as absent: a job with `gpus` for `gpu_count` took the whole machine.
  const ownFields = fieldNames(schema);
  const refused = misspelt ? misspeltFields(ownFields, input, { misspelt, instead, place }) : [];
  if (parsed.success && refused.length === 0) return parsed.data;
  const bad = parsed.success ? [] : fieldProblems(parsed.error.issues, place, schema, input);
  throw new HttpError("badFields", { fields: [...bad, ...refused] });
}

/**
 * Returns the input without optional fields that are null, in nested objects too
 * (docs/apis/common.md#headers-and-bodies). Required fields keep their null, so that the schema refuses it.
 */
export function withoutNulls(schema: z.core.$ZodType, input: unknown): unknown {
  const names = new Set(fieldNames(schema));
  if (names.size === 0 || typeof input !== "object" || input === null || Array.isArray(input)) return input;
  const kept = Object.entries(input).flatMap(([name, value]): [string, unknown][] => {
    const field = names.has(name) ? fieldSchema(schema, name) : undefined;
    if (!field) return [[name, value]];
    if (value === null) return isRequired(field) ? [[name, null]] : [];
    return [[name, withoutNulls(field, value)]];
  });
  return Object.fromEntries(kept);
}

/**
 * Returns the path of a text or name with NUL or an unpaired surrogate, which stores and terminals change or
 * truncate. Returns undefined if the value has no such text.
 */
export function brokenTextIn(
  value: unknown,
  path: readonly (string | number)[] = [],
): readonly (string | number)[] | undefined {
  if (typeof value === "string") return isBroken(value) ? path : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const place = [...path, Array.isArray(value) ? Number(name) : name];
    const found = isBroken(name) ? path : brokenTextIn(inner, place);
    if (found) return found;
  }
  return undefined;
}

function isBroken(text: string): boolean {
  return text.includes("\0") || !text.isWellFormed();
}
