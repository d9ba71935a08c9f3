import type { DialectName } from "#http/dialect.ts";
import type { Examples } from "#http/noun-document.ts";
import { type JsonSchema, referenceTo } from "./openapi-schemas.ts";

export function problemName(dialect: DialectName): string {
  return `${dialect.replaceAll(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase())}Problem`;
}

const text: JsonSchema = { type: "string" };
const texts: JsonSchema = { type: "array", items: { type: ["string", "integer"] } };

/** The body of every problem, and what it holds (docs/apis/common.md#which-dialect-answers). */
export const problemSchemas: Readonly<Record<DialectName, (name: string) => Record<string, JsonSchema>>> = {
  "gpu-dev": (name) => ({
    [name]: objectOf({ detail: { anyOf: [text, { type: "array", items: referenceTo(`${name}Field`) }] } }),
    [`${name}Field`]: objectOf({ type: text, loc: texts, msg: text, input: {} }),
  }),
  "session-manager": (name) => ({ [name]: objectOf({ error: text }, { message: text }) }),
  onmemos: (name) => ({ [name]: objectOf({ detail: text }) }),
  novita: (name) => ({
    [name]: objectOf({ error: referenceTo(`${name}Error`) }),
    [`${name}Error`]: objectOf(
      { code: text, message: text, timestamp: { type: "string", format: "date-time" }, requestId: text },
      { details: { type: "array", items: referenceTo(`${name}Detail`) }, correlationId: text },
    ),
    [`${name}Detail`]: objectOf({ field: text, message: text }, { value: {} }),
  }),
  dev8: (name) => ({
    [name]: objectOf({ success: { type: "boolean", const: false }, error: text, message: text, code: text }),
  }),
};

const unauthorized = (body: object): Readonly<Record<string, Examples>> => ({ 401: { "An unknown key": body } });

/** What every endpoint of a dialect may answer, by status. */
export const problemExamples: Readonly<Record<DialectName, Readonly<Record<string, Examples>>>> = {
  "gpu-dev": unauthorized({ detail: "Invalid API key" }),
  "session-manager": {
    401: { "No key": { error: "API key required", message: "Include X-API-Key header" } },
    404: { "No such session": { error: "Session abc12345 not found" } },
  },
  onmemos: unauthorized({ detail: "Invalid API key" }),
  novita: unauthorized({
    error: {
      code: "UNAUTHORIZED",
      message: "Invalid API key",
      timestamp: "2026-01-20T18:00:00.000Z",
      requestId: "0123456789abcdef0123456789abcdef",
    },
  }),
  dev8: unauthorized({ success: false, error: "Unauthorized", message: "Invalid API key", code: "ERR_401" }),
};

function objectOf(required: Record<string, JsonSchema>, optional: Record<string, JsonSchema> = {}): JsonSchema {
  return { type: "object", properties: { ...required, ...optional }, required: Object.keys(required) };
}
