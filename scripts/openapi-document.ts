import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import * as z from "zod";
import { readSettings } from "#aws/config.ts";
import type { Catalog, Entry } from "#http/catalog.ts";
import type { DialectName } from "#http/dialect.ts";
import { bodySchema, type Endpoint, type Schema } from "#http/endpoint.ts";
import { version } from "#http/version.ts";

/** openapi.json of all endpoints, sorted by path and method. Throws where a path and its parameters do not agree. */
export function openApiDocument({ endpoints }: Pick<Catalog, "endpoints">): object {
  const { openAPIRegistry: registry, getOpenAPI31Document } = new OpenAPIHono();
  const { name: bearer } = registry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  const apiKey = { type: "apiKey", in: "header", name: "X-API-Key" } as const;
  const { name: header } = registry.registerComponent("securitySchemes", "apiKey", apiKey);
  for (const dialect of new Set(endpoints.map(({ thing }) => thing.dialect.name))) {
    registry.registerComponent("schemas", problemName(dialect), problemSchemas[dialect]);
  }
  const security = [{ [bearer]: [] }, { [header]: [] }];
  for (const entry of [...endpoints].sort(byPath)) registry.registerPath(routeConfig(entry, security));
  return getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Berth", version, description: "GPU and CPU development environments on AWS." },
    servers: [{ url: "/" }],
  });
}

function byPath({ thing: one }: Entry<Endpoint>, { thing: other }: Entry<Endpoint>): number {
  return `${one.path} ${one.method}` < `${other.path} ${other.method}` ? -1 : 1;
}

function routeConfig({ name, thing }: Entry<Endpoint>, security: Record<string, string[]>[]): RouteConfig {
  const { method, path, summary, public: isPublic } = thing;
  requireAgreement(thing);
  return {
    method,
    path,
    summary,
    operationId: name.replaceAll(/[/-](\w)/g, (_, letter: string) => letter.toUpperCase()),
    tags: [thing.dialect.name],
    security: isPublic ? [] : security,
    request: requestOf(thing),
    responses: responsesOf(thing),
  };
}

/** The parameters in a path are those of its schema, in both directions. */
function requireAgreement({ path, params }: Endpoint): void {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  const inSchema = params ? Object.keys(asObject(params).shape).sort() : [];
  if (inPath.join() !== inSchema.join()) throw new Error(`Path and parameters of ${path} do not agree`);
}

function requestOf(endpoint: Endpoint): NonNullable<RouteConfig["request"]> {
  const { params, query, creates, form } = endpoint;
  const body = bodySchema(endpoint, readSettings({}));
  const fields = form && body ? asObject(body).partial() : undefined;
  if (fields) return { ...(params && { params: asObject(params) }), query: fields, body: { content: formOf(fields) } };
  return {
    ...(params && { params: asObject(params) }),
    ...(query && { query: asObject(query) }),
    ...(creates && { headers: IdempotencyHeader }),
    ...(body && { body: { required: true, content: { "application/json": { schema: body } } } }),
  };
}

function formOf(schema: z.ZodObject) {
  return { "application/json": { schema }, "application/x-www-form-urlencoded": { schema } };
}

/** docs/apis/common.md#idempotency-key. */
const IdempotencyHeader = z.object({ "Idempotency-Key": z.string().min(1).max(255).optional() });

function responsesOf({ reply, status, dialect, public: isPublic }: Endpoint): RouteConfig["responses"] {
  const schema = { $ref: `#/components/schemas/${problemName(dialect.name)}` };
  const problem = (description: string) => ({ description, content: { "application/json": { schema } } });
  return {
    [status]: { description: "Success", content: { [contentTypeOf(reply)]: { schema: reply } } },
    ...(!isPublic && { 401: problem("The key is missing, unknown, expired or revoked") }),
    default: problem("Any other problem"),
  };
}

function contentTypeOf(reply: Schema): string {
  if (reply._zod.def.type === "custom") return "application/octet-stream";
  return reply._zod.def.type === "string" ? "text/plain" : "application/json";
}

/** Parameters and queries are objects by their use; zod's general type does not say so. */
function asObject(schema: Schema): z.ZodObject {
  return schema as z.ZodObject;
}

function problemName(dialect: DialectName): string {
  return `${dialect.replaceAll(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase())}Problem`;
}

interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "boolean";
  readonly required?: string[];
  readonly properties?: Record<string, JsonSchema>;
  readonly items?: JsonSchema;
  readonly anyOf?: JsonSchema[];
}

const text: JsonSchema = { type: "string" };

const fieldItem = objectOf({ type: text, loc: { type: "array", items: {} }, msg: text, input: {} });

/** docs/apis/common.md#which-dialect-answers. */
const problemSchemas: Readonly<Record<DialectName, JsonSchema>> = {
  "gpu-dev": objectOf({ detail: { anyOf: [text, { type: "array", items: fieldItem }] } }),
  "session-manager": objectOf({ error: text }),
  onmemos: objectOf({ detail: text }),
  novita: objectOf({ error: objectOf({ code: text, message: text, timestamp: text, requestId: text }) }),
  dev8: objectOf({ success: { type: "boolean" }, error: text, message: text, code: text }),
};

function objectOf(properties: Record<string, JsonSchema>): JsonSchema {
  return { type: "object", required: Object.keys(properties), properties };
}
