import { randomUUID } from "node:crypto";
import { createConnections } from "#aws/socket-gateway.ts";
import { socket } from "#functions/socket/shell.ts";
import { type FakeService, fakeKey, startFakeService } from "#tests/aws/fake-service.ts";
import type { MemoryWorld } from "#tests/worlds/memory-world.ts";
import { type SocketHandler, socketLambda } from "./socket.ts";

/** Web shell as on AWS: its handler on memory ports, a queue, and a fake Management API behind HTTP. */
export interface GatewayFixture {
  readonly handler: SocketHandler;
  readonly api: FakeService;
  /** Frames sent to a client, and the number of closes from here. */
  readonly sent: Map<string, Readonly<Record<string, unknown>>[]>;
  readonly closed: string[];
  /** Receipts of messages that were made visible soon. */
  readonly shownSoon: readonly string[];
  /** Makes the queue refuse messages from now on. */
  breakQueue(): void;
  /** Requests a connection as API Gateway does; it opens after an answer of 200. */
  connect(id: string, path: string, headers?: Readonly<Record<string, string>>): Promise<Result>;
  disconnect(id: string): Promise<void>;
  /** Like the integration of `$default`. */
  send(id: string, frame: object | string): Waiting;
  /** Delivers all messages in order. Returns how many are delivered again. */
  deliver(): Promise<number>;
  /** Delivers one message, as SQS may do twice. */
  hand(message: Waiting): Promise<number>;
  close(): Promise<void>;
}

interface Result {
  readonly statusCode: number;
  readonly body: string;
}

interface Waiting {
  readonly messageId: string;
  readonly body: string;
  readonly receiptHandle: string;
  readonly attributes: Readonly<
    Record<"MessageGroupId" | "MessageDeduplicationId" | "SentTimestamp" | "ApproximateReceiveCount", string>
  >;
}

export const edgeSecret = "s".repeat(32);

export async function openGatewayFixture({ table, queue, compute }: MemoryWorld): Promise<GatewayFixture> {
  const sent: GatewayFixture["sent"] = new Map();
  const standing = new Set<string>();
  const closed: string[] = [];
  const shownSoon: string[] = [];
  const waiting: Waiting[] = [];
  let isBroken = false;
  const gone = { status: 410, body: "{}", headers: { "x-amzn-errortype": "GoneException" } };
  const refuse = (code: string) => ({ status: 403, body: "{}", headers: { "x-amzn-errortype": code } });
  const api = await startFakeService("execute-api", refuse, ({ method, path, body }) => {
    const id = decodeURIComponent(/^\/socket\/@connections\/([^/]+)$/.exec(path)?.[1] ?? "");
    if (!standing.has(id)) return gone;
    if (method === "DELETE") {
      standing.delete(id);
      closed.push(id);
      return { status: 204, body: "" };
    }
    if (body.byteLength > 131_072) return { status: 413, body: "{}" };
    sent.get(id)?.push(JSON.parse(Buffer.from(body).toString()));
    return { status: 200, body: "" };
  });
  const wait = (id: string, body: string, deduplication: string): Waiting => {
    const sent = { SentTimestamp: String(Date.now()), ApproximateReceiveCount: "1" };
    const attributes = { MessageGroupId: id, MessageDeduplicationId: deduplication, ...sent };
    const message = { messageId: randomUUID(), receiptHandle: `receipt of ${deduplication}`, body, attributes };
    waiting.push(message);
    return message;
  };
  const service = { name: "execute-api", region: "us-east-1", url: `${api.endpoint}/socket` };
  const handler = socketLambda(socket, { table: () => table, queue: () => queue, compute: () => compute }, () => ({
    ...createConnections({ ...service, credentials: () => fakeKey }),
    announce: async (id) => {
      if (isBroken) throw new Error("no queue");
      wait(id, "connected", id);
    },
    showSoon: async (receipt) => void shownSoon.push(receipt),
  }));
  const toEvent = (id: string, eventType: string) => ({
    requestContext: { connectionId: id, eventType, domainName: "abc.execute-api.us-east-1.amazonaws.com" },
  });
  const hand = async (message: Waiting): Promise<number> => {
    const result = await handler({ Records: [message] });
    return "batchItemFailures" in result ? result.batchItemFailures.length : Number.NaN;
  };
  return {
    handler,
    api,
    sent,
    closed,
    shownSoon,
    hand,
    breakQueue: () => {
      isBroken = true;
    },
    async connect(id, path, headers = {}) {
      const { pathname, searchParams } = new URL(path, "https://edge");
      const event = {
        ...toEvent(id, "CONNECT"),
        headers: { "X-Berth-Origin": edgeSecret, "X-Berth-Path": pathname, ...headers },
        multiValueQueryStringParameters: Object.fromEntries([...searchParams].map(([name, value]) => [name, [value]])),
      };
      const result = (await handler(event)) as Result;
      if (result.statusCode === 200) {
        standing.add(id);
        sent.set(id, []);
      }
      return result;
    },
    async disconnect(id) {
      standing.delete(id);
      await handler(toEvent(id, "DISCONNECT"));
    },
    send: (id, frame) => wait(id, typeof frame === "string" ? frame : JSON.stringify(frame), randomUUID()),
    async deliver() {
      let again = 0;
      for (const message of waiting.splice(0)) again += await hand(message);
      return again;
    },
    close: () => api.stop(),
  };
}
