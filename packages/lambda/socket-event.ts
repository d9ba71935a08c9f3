import * as z from "zod";
import { type GatewayEvent, parseGatewayEvent } from "./gateway.ts";

export interface SocketEvent {
  readonly connection: string;
  readonly type: "CONNECT" | "DISCONNECT";
  readonly request: GatewayEvent;
}

const Event = z.object({
  requestContext: z.object({
    connectionId: z.string().min(1),
    eventType: z.enum(["CONNECT", "DISCONNECT"]),
    domainName: z.string(),
  }),
  headers: z.record(z.string(), z.string()).nullish(),
  multiValueQueryStringParameters: z.record(z.string(), z.array(z.string())).nullish(),
});

/** Returns undefined for other events. The path is the stage's; the edge sends the client's (gateway.ts). */
export function parseSocketEvent(input: unknown): SocketEvent | undefined {
  const event = Event.safeParse(input).data;
  if (!event) return undefined;
  const { connectionId, eventType, domainName } = event.requestContext;
  const pairs = Object.entries(event.multiValueQueryStringParameters ?? {}).flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  );
  const headers = Object.entries(event.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  const request = parseGatewayEvent({
    version: "2.0",
    rawPath: "/",
    rawQueryString: String(new URLSearchParams(pairs)),
    headers: Object.fromEntries(headers),
    requestContext: { domainName, http: { method: "GET" } },
  });
  return request && { connection: connectionId, type: eventType, request };
}

/** Frame of a client as the `$default` integration queues it, or the first message of a connection. */
export type SocketFrame = z.output<typeof Frame>;

const Frame = z
  .object({
    messageId: z.string(),
    receiptHandle: z.string(),
    body: z.string(),
    attributes: z.object({
      MessageGroupId: z.string(),
      MessageDeduplicationId: z.string(),
      SentTimestamp: z.coerce.number(),
      ApproximateReceiveCount: z.coerce.number(),
    }),
  })
  .transform(({ messageId: id, receiptHandle: receipt, body: text, attributes }) => ({
    id,
    receipt,
    text,
    connection: attributes.MessageGroupId,
    sentAt: attributes.SentTimestamp,
    receives: attributes.ApproximateReceiveCount,
    isFirst: attributes.MessageDeduplicationId === attributes.MessageGroupId,
  }));

const Batch = z.object({ Records: z.array(Frame) });

/** Returns the frames in the order sent, or undefined if the event is not from the queue of a WebSocket API. */
export function parseSocketFrames(input: unknown): SocketFrame[] | undefined {
  return Batch.safeParse(input).data?.Records;
}
