import * as z from "zod";

/** The parts of an SQS event that are read here. */
export type SqsEvent = z.output<typeof SqsEvent>;

const Attributes = z.object({ SentTimestamp: z.coerce.number() });
const Message = z.object({
  messageId: z.string(),
  body: z.string(),
  attributes: Attributes.optional().catch(undefined),
});
const SqsEvent = z.object({ Records: z.array(Message) });

export interface SqsResult {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

/** Undefined for what SQS does not send. */
export function parseSqsEvent(event: unknown): SqsEvent | undefined {
  return SqsEvent.safeParse(event).data;
}

/**
 * The whole batch comes again: so Lambda takes an empty identifier (Lambda Developer Guide, "Reporting batch item
 * failures").
 */
export const allFailed: SqsResult = { batchItemFailures: [{ itemIdentifier: "" }] };

/** How long the oldest of these has waited since it was sent, ms; undefined where none says when that was. */
export function lagMs({ Records }: SqsEvent, now: number): number | undefined {
  const sent = Records.flatMap(({ attributes }) => attributes?.SentTimestamp ?? []);
  return sent.length > 0 ? now - Math.min(...sent) : undefined;
}
