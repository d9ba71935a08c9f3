import * as z from "zod";
import type { SchemaOfSettings } from "./endpoint.ts";

export type Examples = Readonly<Record<string, unknown>>;

/** Marks an example that a published document prints with values that Berth itself would not choose. */
export const AS_PRINTED = "As the published document prints it";

export function jsonBody<S extends z.ZodType>(schema: S, examples?: Examples) {
  return { content: { "application/json": { schema, examples: namedExamples(examples) } } };
}

export function jsonReply<S extends z.ZodType>(schema: S, examples?: Examples, description = "Success") {
  return { description, ...jsonBody(schema, examples) };
}

export function problemReply(description: string, examples?: Examples) {
  return { description, content: { "application/json": { schema: {}, examples: namedExamples(examples) } } };
}

/** Returns a placeholder for a schema that depends on the deployment's settings. `schemaMaker` resolves it. */
export function perDeployment<S extends z.ZodType>(make: SchemaOfSettings<S>): z.ZodType<z.output<S>, z.input<S>> {
  const placeholder = z.unknown();
  makers.set(placeholder, make);
  return placeholder as unknown as z.ZodType<z.output<S>, z.input<S>>;
}

export function schemaMaker(schema: z.ZodType): SchemaOfSettings | undefined {
  return makers.get(schema);
}

const makers = new WeakMap<z.ZodType, SchemaOfSettings>();

export function namedExamples(examples: Examples = {}): Record<string, { summary: string; value: unknown }> {
  return Object.fromEntries(
    Object.entries(examples).map(([summary, value]) => [
      summary.replaceAll(/[^A-Za-z0-9]+/g, "-").toLowerCase(),
      { summary, value },
    ]),
  );
}
