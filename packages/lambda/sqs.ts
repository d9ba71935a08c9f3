import * as z from "zod";

/** Fields of an SQS event that Berth reads. */
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

/** Returns undefined if the event is not from SQS. */
export function parseSqsEvent(event: unknown): SqsEvent | undefined {
  return SqsEvent.safeParse(event).data;
}

/** Fails the whole batch, by an empty identifier (Lambda Developer Guide, "Reporting batch item failures"). */
export const allFailed: SqsResult = { batchItemFailures: [{ itemIdentifier: "" }] };

/** Returns the age of the oldest message, ms; undefined if no message has a time. */
export function lagMs({ Records }: SqsEvent, now: number): number | undefined {
  const sent = Records.flatMap(({ attributes }) => attributes?.SentTimestamp ?? []);
  return sent.length > 0 ? now - Math.min(...sent) : undefined;
}
