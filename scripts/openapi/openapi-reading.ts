import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { JsonSchema } from "./openapi-schemas.ts";

// Reads openapi.json like a client's tools, for tests of its promises.

interface Media {
  readonly schema: JsonSchema;
  readonly examples?: Record<string, { readonly value: unknown }>;
}
interface Answer {
  readonly description: string;
  readonly content: Record<string, Media>;
}
export interface Operation {
  readonly operationId: string;
  readonly description: string;
  readonly tags: string[];
  readonly parameters?: { name: string; description: string; example?: unknown; schema: JsonSchema }[];
  readonly requestBody?: { readonly content: Record<string, Media> };
  readonly responses: Record<string, Answer>;
}
export interface Document {
  readonly tags: { name: string; description: string }[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, JsonSchema> };
}

export function readDocument(document: object): Document {
  return JSON.parse(JSON.stringify(document)) as Document;
}

/** `route` is, for example, `GET /v1/jobs`. Responses without a body, such as 304, have no content. */
export function listOperations({ paths }: Document): (Operation & { readonly route: string })[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const answers = Object.entries(operation.responses).map(
        ([status, { content = {}, ...rest }]) => [status, { content, ...rest }] as const,
      );
      return { route: `${method.toUpperCase()} ${path}`, ...operation, responses: Object.fromEntries(answers) };
    }),
  );
}

/** Returns the errors of a value, or undefined. */
export function createValidator(document: Document): (schema: JsonSchema, value: unknown) => string | undefined {
  const ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true }));
  ajv.addSchema(document, "openapi.json");
  return (schema, value) => {
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi.json#/')) as JsonSchema;
    return ajv.validate(absolute, value) ? undefined : ajv.errorsText();
  };
}
