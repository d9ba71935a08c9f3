import type { DialectName } from "#http/dialect.ts";
import type { Examples } from "#http/route.ts";
import { type JsonSchema, referenceTo } from "./openapi-schemas.ts";

export function problemName(dialect: DialectName): string {
  return `${dialect.replaceAll(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase())}Problem`;
}

const text = (description: string): JsonSchema => ({ type: "string", description });

/** Schemas of problem bodies, by dialect (docs/apis/common.md#which-dialect-answers). */
export const problemSchemas: Readonly<Record<DialectName, (name: string) => Record<string, JsonSchema>>> = {
  "gpu-dev": (name) => ({
    [name]: getObject({
      detail: {
        anyOf: [{ type: "string" }, { type: "array", items: referenceTo(`${name}Field`) }],
        description: "The reason as text, or a list of all bad fields.",
      },
    }),
    [`${name}Field`]: getObject({
      type: text("The kind of mistake, for programs."),
      loc: {
        type: "array",
        items: { type: ["string", "integer"] },
        description: "The place: `body` or `query`, then the path to the field.",
      },
      msg: text("The problem of the field as text."),
      input: { description: "The sent value; secrets are `***`." },
    }),
  }),
  "session-manager": (name) => ({
    [name]: getObject({ error: text("The reason as text.") }, { message: text("Advice, if there is any.") }),
  }),
  onmemos: (name) => ({ [name]: getObject({ detail: text("The reason as text.") }) }),
  novita: (name) => ({
    [name]: getObject({ error: { ...referenceTo(`${name}Error`), description: "The problem." } }),
    [`${name}Error`]: getObject(
      {
        code: text("The kind of problem, for programs."),
        message: text("The reason as text."),
        timestamp: { ...text("When it was answered."), format: "date-time" },
        requestId: text("The `X-Request-ID` of the answer, by which operators find it."),
      },
      {
        details: {
          type: "array",
          items: referenceTo(`${name}Detail`),
          description: "All bad fields, if the problem concerns fields.",
        },
        correlationId: text("The `X-Correlation-ID` of the request, if it had one."),
      },
    ),
    [`${name}Detail`]: getObject(
      { field: text("The field's name."), message: text("The reason as text.") },
      { value: { description: "The sent value; secrets are redacted." } },
    ),
  }),
  dev8: (name) => ({
    [name]: getObject({
      success: { type: "boolean", const: false, description: "Always false." },
      error: text("The kind of problem, in words."),
      message: text("The reason as text."),
      code: text("The kind of problem, for programs."),
    }),
  }),
};

const unauthorized = (body: object): ProblemExamples => ({ 401: { "An unknown key": body } });

type ProblemExamples = Readonly<Record<string, Examples>>;

export const problemExamples: Readonly<Record<DialectName, ProblemExamples>> = {
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

function getObject(required: Record<string, JsonSchema>, optional: Record<string, JsonSchema> = {}): JsonSchema {
  return { type: "object", properties: { ...required, ...optional }, required: Object.keys(required) };
}
