import { readSettings } from "#aws/settings.ts";
import { bodySchema, type Endpoint, type Schema } from "#http/endpoint.ts";
import { ERROR_HEADER } from "#http/error-code.ts";
import type { Examples, NounDocument, OperationDocument, ReplyDocument } from "#http/noun-document.ts";
import type { Describer } from "./openapi-descriptions.ts";
import { problemExamples, problemName } from "./openapi-problems.ts";
import { type JsonSchema, referenceTo, type SchemaBook } from "./openapi-schemas.ts";

export interface OperationParts {
  readonly document: NounDocument;
  readonly words: OperationDocument;
  readonly folder: string;
  readonly verb: string;
}

/** One operation of the document. Throws where a path and its parameters do not agree. */
export function operationOf(endpoint: Endpoint, parts: OperationParts, book: SchemaBook, words: Describer): object {
  const { id, description } = parts.words;
  const body = bodySchema(endpoint, readSettings({}));
  const parameters = parametersOf(endpoint, body, parts, book, words);
  return {
    operationId: id,
    summary: endpoint.summary,
    description: description ?? `${endpoint.summary}.`,
    tags: [parts.document.tag],
    security: endpoint.public ? [] : [{ bearer: [] }, { apiKey: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: requestBodyOf(endpoint, body, parts, book, words) }),
    responses: responsesOf(endpoint, body !== undefined, parts, book, words),
  };
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description: string | undefined;
  readonly schema: JsonSchema;
  readonly example?: unknown;
}

function parametersOf(
  endpoint: Endpoint,
  body: Schema | undefined,
  parts: OperationParts,
  book: SchemaBook,
  words: Describer,
): Parameter[] {
  const inPath = endpoint.params ? parametersIn("path", book.schemaOf(endpoint.params, "input")) : [];
  requireAgreement(endpoint.path, inPath);
  const fields = endpoint.form && body ? optional(book.schemaOf(body, "input")) : undefined;
  const query = fields ?? (endpoint.query && book.schemaOf(endpoint.query, "input"));
  const all = [
    ...inPath,
    ...(query ? parametersIn("query", query) : []),
    ...(endpoint.creates ? [idempotencyKey] : []),
    ...(endpoint.etag ? [ifNoneMatch] : []),
  ];
  return all.map((parameter) => {
    const { examples, ...schema } = parameter.schema;
    const example = parts.words.parameters?.[parameter.name] ?? examples?.[0];
    const description = words.parameter(parts.folder, parameter.in, parameter.name);
    return { ...parameter, description, schema, ...(example !== undefined && { example }) };
  });
}

type Place = Pick<Parameter, "name" | "in" | "required" | "schema">;

function parametersIn(place: "path" | "query", { properties = {}, required = [] }: JsonSchema): Place[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: place,
    schema,
    required: place === "path" || required.includes(name),
  }));
}

function optional({ required: _, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

/** docs/apis/common.md#idempotency-key. */
const idempotencyKey: Place = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  schema: { type: "string", pattern: "^[ -~]{1,255}$" },
};

/** docs/apis/common.md#unchanged-answers. */
const ifNoneMatch: Place = { name: "If-None-Match", in: "header", required: false, schema: { type: "string" } };

/** The parameters in a path are those of its schema, in both directions. */
function requireAgreement(path: string, parameters: readonly Place[]): void {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  const inSchema = parameters.map(({ name }) => name).sort();
  if (inPath.join() !== inSchema.join()) throw new Error(`Path and parameters of ${path} do not agree`);
}

/** The fields of a form endpoint may come in the query as well: none of them has to be in the body. */
function requestBodyOf(
  { form }: Endpoint,
  body: Schema,
  parts: OperationParts,
  book: SchemaBook,
  words: Describer,
): object {
  const { body: name, requests } = parts.words;
  const schema = form ? optional(book.schemaOf(body, "body")) : book.schemaOf(body, "body", name);
  if (form || schema.$ref === undefined) words.describe(parts.folder, schema);
  const content = { schema, ...(requests && { examples: examplesOf(requests) }) };
  const types = form ? ["application/json", "application/x-www-form-urlencoded"] : ["application/json"];
  return {
    required: !form && requiresBody(book, schema),
    content: Object.fromEntries(types.map((type) => [type, content])),
  };
}

/** An empty body counts as `{}` (docs/apis/common.md#headers-and-bodies). */
function requiresBody(book: SchemaBook, { $ref = "", required }: JsonSchema): boolean {
  const named = book.components()[$ref.slice($ref.lastIndexOf("/") + 1)];
  return (named?.required ?? required ?? []).length > 0;
}

function responsesOf(
  endpoint: Endpoint,
  hasBody: boolean,
  parts: OperationParts,
  book: SchemaBook,
  words: Describer,
): object {
  const { status, dialect } = endpoint;
  const { reply: name, replies = {}, problems = {} } = parts.words;
  const plain = name === undefined ? [] : [name];
  const successes = { [status]: {}, ...replies };
  const answers = Object.entries<ReplyDocument>(successes).map(([code, reply]) => {
    const content = reply.content ?? { "application/json": endpoint.reply };
    const schemas = Object.entries(content).map(([type, schema], at) => {
      const shown = book.schemaOf(schema, "output", schema === endpoint.reply ? plain[0] : undefined);
      if (shown.$ref === undefined) words.describe(parts.folder, shown);
      const examples = at === 0 && reply.examples ? { examples: examplesOf(reply.examples) } : {};
      return [type, { schema: shown, ...examples }] as const;
    });
    const headers = endpoint.etag && { headers: { ETag: { schema: { type: "string" } } } };
    const description = reply.description ?? success(code);
    return [code, { description, ...headers, content: Object.fromEntries(schemas) }] as const;
  });
  const schema = referenceTo(problemName(dialect.name));
  const problem = (description: string, code = "default") => {
    const examples = { ...problemExamples[dialect.name][code], ...parts.words.refusals?.[Number(code)] };
    const content = Object.keys(examples).length > 0 ? { schema, examples: examplesOf(examples) } : { schema };
    const headers = { [ERROR_HEADER]: { $ref: `#/components/headers/${ERROR_HEADER}` } };
    return { description, headers, content: { "application/json": content } };
  };
  const expected = { ...usualProblems(endpoint, hasBody), ...problems };
  const refused = Object.entries(expected).filter(([code]) => !(code in successes));
  return {
    ...Object.fromEntries(answers),
    ...(endpoint.etag && { 304: { description: "The answer that you have still holds" } }),
    ...Object.fromEntries(refused.map(([code, description]) => [code, problem(description, code)])),
    default: problem("Any other problem"),
  };
}

function success(code: string): string {
  return code === "201" ? "Created" : code === "202" ? "Accepted" : "Success";
}

/** docs/apis/common.md#order-of-checks-and-errors. */
function usualProblems(
  { public: isPublic, params, query, creates }: Endpoint,
  hasBody: boolean,
): Record<number, string> {
  return {
    ...((hasBody || query || creates) && { 400: "A field is missing or has the wrong form" }),
    ...(!isPublic && { 401: "The key is missing, unknown, expired or revoked" }),
    ...(!isPublic && { 403: "The user of this key is disabled" }),
    ...(params && { 404: "There is no such thing, or it is somebody else's" }),
    ...(creates && { 409: "The Idempotency-Key was used with another request" }),
    ...(hasBody && { 413: "The body is over 1 MiB", 415: "The body has a Content-Encoding" }),
  };
}

/** Named by what each shows. */
function examplesOf(examples: Examples): Record<string, { summary: string; value: unknown }> {
  const entries = Object.entries(examples);
  return Object.fromEntries(
    entries.map(([summary, value]) => [summary.replaceAll(/[^A-Za-z0-9]+/g, "-").toLowerCase(), { summary, value }]),
  );
}
