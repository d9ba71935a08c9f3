import type { RouteConfig } from "@hono/zod-openapi";
import type * as z from "zod";
import { readSettings } from "#aws/settings/settings.ts";
import { ERROR_HEADER } from "#http/answers/http-error.ts";
import { bodySchema, type Endpoint } from "#http/endpoint.ts";
import { namedExamples, problemReply } from "#http/route.ts";
import { problemExamples, problemName } from "./openapi-problems.ts";
import { type JsonSchema, referenceTo, type SchemaBook } from "./openapi-schemas.ts";

/** Route as the document shows it: with JSON Schema in place of zod's. */
export interface PublishedRoute {
  readonly method: RouteConfig["method"];
  readonly path: string;
  readonly [part: string]: unknown;
}

/**
 * Returns the published form of an endpoint's route, with the parameters, the security and the problems that follow
 * from how the endpoint is called. Throws if path and parameters disagree.
 */
export function publishedRoute(endpoint: Endpoint, route: RouteConfig, book: SchemaBook): PublishedRoute {
  const { method, path, operationId, summary, description = `${summary}.`, tags } = route;
  const body = bodySchema(endpoint, readSettings({}));
  const parameters = listParameters(endpoint, route, body, book);
  return {
    method,
    path,
    operationId,
    summary,
    description,
    tags,
    security: endpoint.public ? [] : [{ bearer: [] }, { apiKey: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(body && { request: { body: getRequestBody(endpoint, route, body, book) } }),
    responses: getResponses(endpoint, route, body !== undefined, book),
  };
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description: string;
  readonly schema: JsonSchema;
  readonly example?: unknown;
}

function listParameters(
  endpoint: Endpoint,
  { parameters = [] }: RouteConfig,
  body: z.ZodType | undefined,
  book: SchemaBook,
): Parameter[] {
  const inPath = endpoint.params ? parametersIn("path", book.schemaOf(endpoint.params, "input")) : [];
  requireAgreement(endpoint.path, inPath);
  const fields = endpoint.form && body ? optional(book.schemaOf(body, "input")) : undefined;
  const query = fields ?? (endpoint.query && book.schemaOf(endpoint.query, "input"));
  const examples = new Map(
    parameters.map((each) => ("name" in each ? [each.name, { example: each.example }] : ["", {}])),
  );
  const all = [
    ...inPath,
    ...(query ? parametersIn("query", query) : []),
    ...(endpoint.creates ? [idempotencyKey] : []),
    ...(endpoint.etag ? [ifNoneMatch] : []),
  ];
  return all.map((parameter) => ({ ...parameter, ...examples.get(parameter.name) }));
}

function parametersIn(place: "path" | "query", { properties = {}, required = [] }: JsonSchema): Parameter[] {
  return Object.entries(properties).map(([name, { description = "", examples = [], ...schema }]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    description,
    schema,
    ...(examples.length > 0 && { example: examples[0] }),
  }));
}

function optional({ required: _, ...schema }: JsonSchema): JsonSchema {
  return schema;
}

/** docs/apis/common.md#idempotency-key. */
const idempotencyKey: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description:
    "Your own name for this request, 1 to 255 printable ASCII characters. For 24 hours a repeat with the same body makes " +
    "nothing twice and gets the first answer again.",
  schema: { type: "string", pattern: "^[ -~]{1,255}$" },
};

/** docs/apis/common.md#unchanged-answers. */
const ifNoneMatch: Parameter = {
  name: "If-None-Match",
  in: "header",
  required: false,
  description: "The `ETag` of an answer that you have. If it still holds, the answer is 304 without a body.",
  schema: { type: "string" },
};

function requireAgreement(path: string, parameters: readonly Parameter[]): void {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  const inSchema = parameters.map(({ name }) => name).sort();
  if (inPath.join() !== inSchema.join()) throw new Error(`Path and parameters of ${path} do not agree`);
}

/** Fields of a form may also come in the query, so the body requires none of them. */
function getRequestBody({ form }: Endpoint, { request }: RouteConfig, body: z.ZodType, book: SchemaBook) {
  const schema = form ? optional(book.schemaOf(body, "body")) : book.schemaOf(body, "body");
  const content = { schema, ...examplesIn((request?.body?.content["application/json"] ?? {}) as Media) };
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

interface Media {
  readonly schema?: unknown;
  readonly examples?: object | undefined;
}
interface Response {
  readonly description: string;
  readonly content?: Readonly<Record<string, Media>>;
}

function getResponses(endpoint: Endpoint, route: RouteConfig, hasBody: boolean, book: SchemaBook): object {
  const headers = endpoint.etag && { headers: { ETag: { schema: { type: "string" } } } };
  const input = Object.entries(route.responses as Readonly<Record<string, Response>>).map(([status, response]) =>
    isProblem(response)
      ? ([status, toProblem(endpoint, response, status)] as const)
      : ([status, { ...response, ...headers, content: getContent(response, book) }] as const),
  );
  const usual = Object.entries(usualProblems(endpoint, hasBody)).map(
    ([status, description]) => [status, toProblem(endpoint, problemReply(description), status)] as const,
  );
  return {
    ...Object.fromEntries(usual),
    ...Object.fromEntries(input),
    ...(endpoint.etag && { 304: { description: "The answer that you have still holds" } }),
    default: toProblem(endpoint, problemReply("Any other problem"), "default"),
  };
}

/** Reports whether a response is a `problemReply`, whose schema is not zod's. */
function isProblem({ content = {} }: Response): boolean {
  const schema = content["application/json"]?.schema;
  return typeof schema === "object" && schema !== null && !("_zod" in schema);
}

function getContent({ content = {} }: Response, book: SchemaBook) {
  const published = Object.entries(content).map(([type, media]) => {
    return [type, { schema: book.schemaOf(media.schema as z.ZodType, "output"), ...examplesIn(media) }];
  });
  return Object.fromEntries(published);
}

function toProblem({ dialect }: Endpoint, { description, content }: Response, status: string) {
  const usual = namedExamples(problemExamples[dialect.name][status]);
  const examples = { ...usual, ...content?.["application/json"]?.examples };
  return {
    description,
    headers: { [ERROR_HEADER]: { $ref: `#/components/headers/${ERROR_HEADER}` } },
    content: { "application/json": { schema: referenceTo(problemName(dialect.name)), ...examplesIn({ examples }) } },
  };
}

function examplesIn({ examples = {} }: Media): { readonly examples?: object } {
  return Object.keys(examples).length > 0 ? { examples } : {};
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
    ...(params && { 404: "It does not exist, or another user owns it" }),
    ...(creates && { 409: "The Idempotency-Key was used with another request" }),
    ...(hasBody && { 413: "The body is over 1 MiB", 415: "The body has a Content-Encoding" }),
  };
}
