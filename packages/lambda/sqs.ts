import * as z from "zod";

/** The parts of an SQS event that are read here. */
export type SqsEvent = z.output<typeof SqsEvent>;

const SqsEvent = z.object({ Records: z.array(z.object({ messageId: z.string(), body: z.string() })) });

export interface SqsResult {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

/** Undefined for what SQS does not send. */
export function sqsEventOf(event: unknown): SqsEvent | undefined {
  return SqsEvent.safeParse(event).data;
}

/**
 * The whole batch comes again: so Lambda takes an empty identifier (Lambda Developer Guide, "Reporting batch item
 * failures").
 */
export const allFailed: SqsResult = { batchItemFailures: [{ itemIdentifier: "" }] };
