import type { Schema } from "./endpoint.ts";

/**
 * What openapi.json says of one folder of functions beside what their schemas say: the `parts/document.ts` of that folder.
 * The generator alone reads it, so no bundle holds a word of it.
 */
export interface NounDocument {
  /** One of the tags in scripts/openapi-tags.ts. */
  readonly tag: string;
  /** Whose words are taken for what this one has no words for. */
  readonly also?: NounDocument;
  /** Schemas that are parts of others, by their name in the document. */
  readonly schemas?: Readonly<Record<string, Schema>>;
  /** What a property or parameter means: by its own name, or as `Job.status` where it means something else there. */
  readonly fields: Readonly<Record<string, string>>;
  /** Operations by file name, in reading order. */
  readonly operations: Readonly<Record<string, OperationDocument>>;
  /** Files whose endpoints are no calls for clients: pages and their parts. */
  readonly pages?: readonly string[];
}

export interface OperationDocument {
  /** The name in generated clients. It is unique and never changes once published. */
  readonly id: string;
  /** Details beyond the summary. */
  readonly description?: string;
  /** The name of the schema of its body, which may differ between deployments. */
  readonly body?: string;
  /** The name of its reply's schema. */
  readonly reply?: string;
  /** Of its body, by what each shows; the first is what "Try it out" begins with. */
  readonly requests?: Examples;
  /** Examples of its parameters, by name. */
  readonly parameters?: Examples;
  /** Its answers where more is to be said than that its reply is sent as JSON, by status. */
  readonly replies?: Readonly<Record<number, ReplyDocument>>;
  /** What else can go wrong, by status. */
  readonly problems?: Readonly<Record<number, string>>;
  /** Bodies of problems, by status. */
  readonly refusals?: Readonly<Record<number, Examples>>;
}

export interface ReplyDocument {
  readonly description?: string;
  /** Content types that replace `application/json` with the endpoint's reply. */
  readonly content?: Readonly<Record<string, Schema>>;
  /** Examples of the first content type. */
  readonly examples?: Examples;
}

/** What an example shows that a published document prints with values that Berth itself would not choose. */
export const AS_PRINTED = "As the published document prints it";

export type Examples = Readonly<Record<string, unknown>>;
