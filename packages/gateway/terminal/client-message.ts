import * as z from "zod";

/** Text frames of a client (docs/apis/common.md#web-terminals). */
export type ClientMessage = z.output<typeof Message>;

const cells = z.int().min(1).max(10_000);
const offset = z.int().min(0);
const size = { columns: cells, rows: cells };

const Message = z.discriminatedUnion("type", [
  z.object({ type: z.literal("open"), ...size, offset: offset.optional() }),
  z.object({ type: z.literal("resize"), ...size }),
  z.object({ type: z.literal("ack"), offset }),
  z.object({ type: z.literal("ping") }),
]);

const MOST_TEXT_BYTES = 1_024;

/** Returns undefined for a frame that the protocol does not have. */
export function readMessage(data: Buffer): ClientMessage | undefined {
  if (data.length > MOST_TEXT_BYTES) return undefined;
  try {
    return Message.safeParse(JSON.parse(data.toString())).data;
  } catch {
    return undefined;
  }
}
