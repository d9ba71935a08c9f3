import * as z from "zod";
import { type GatewayEvent, parseGatewayEvent } from "./gateway.ts";

/** The parts of a WebSocket API event that Berth reads. */
export interface SocketEvent {
  readonly connection: string;
  readonly type: "CONNECT" | "DISCONNECT";
  /** The request for the connection. */
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

/**
 * Undefined for what no WebSocket API sends. Its path is the stage's own: where the client asked is what the edge says
 * (packages/lambda/gateway.ts), and the query comes decoded.
 */
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

/** A frame of a client's as the integration of `$default` puts it into the queue, or the first message of a connection. */
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

/** In the order sent; undefined for what the queue of a WebSocket API does not send. */
export function parseSocketFrames(input: unknown): SocketFrame[] | undefined {
  return Batch.safeParse(input).data?.Records;
}
