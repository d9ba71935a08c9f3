import { once } from "node:events";
import { WebSocket } from "ws";
import { PATIENCE_MS } from "#process/patience-fixture.ts";

export interface TicketReply {
  readonly url: string;
  readonly ticket: string;
  readonly terminal_id: string;
}

export interface ClientOptions {
  /** Address of the gateway, by default 127.0.0.1. */
  readonly address?: string;
  readonly offset?: number;
  readonly columns?: number;
  readonly rows?: number;
  readonly origin?: string;
  /** Whether output is acknowledged. */
  readonly acks?: boolean;
  /** Whether the first frame is sent. */
  readonly opens?: boolean;
}

/** A client of a web terminal, as docs/apis/common.md describes it. */
export interface TerminalClient {
  readonly ws: WebSocket;
  /** Text frames. */
  readonly messages: Readonly<Record<string, unknown>>[];
  /** All output of this connection. */
  output(): string;
  /** Offset of the next byte of output. */
  offset(): number;
  type(text: string | Buffer): void;
  say(message: unknown): void;
  ackAll(): void;
  until(isEnough: (client: TerminalClient) => unknown): Promise<void>;
  /** Close code and reason. */
  readonly closed: Promise<readonly [code: number, reason: string]>;
}

/** Connects to this port, whatever host the address names, which has no entry in a test's resolver. */
export async function connectTerminal(
  { url, ticket }: TicketReply,
  { address = "127.0.0.1", offset, columns = 80, rows = 24, origin, acks = true, opens = true }: ClientOptions = {},
): Promise<TerminalClient> {
  const { host, port, pathname } = new URL(url);
  const headers = { host, ...(origin !== undefined && { origin }) };
  const protocols = ["berth.terminal.v1", `berth.ticket.${ticket}`];
  const ws = new WebSocket(`ws://${address}:${port}${pathname}`, protocols, { headers });
  const messages: Readonly<Record<string, unknown>>[] = [];
  const parts: Buffer[] = [];
  let end = 0;
  let wake: () => void = () => undefined;
  const say = (message: unknown) => ws.send(JSON.stringify(message));
  const client: TerminalClient = {
    ws,
    messages,
    output: () => Buffer.concat(parts).toString(),
    offset: () => end,
    type: (text) => ws.send(Buffer.from(text)),
    say,
    ackAll: () => say({ type: "ack", offset: end }),
    until: async (isEnough) => {
      const late = setTimeout(() => ws.terminate(), PATIENCE_MS);
      while (!isEnough(client)) {
        if (ws.readyState === ws.CLOSED) {
          throw new Error(`Closed with ${await client.closed} after: ${client.output().slice(-500)}`);
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      clearTimeout(late);
    },
    closed: once(ws, "close").then(([code, reason]) => [code as number, String(reason)] as const),
  };
  ws.on("error", () => undefined);
  ws.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary) {
      parts.push(data);
      end += data.length;
      if (acks) client.ackAll();
    } else {
      const message = JSON.parse(String(data)) as Readonly<Record<string, unknown>>;
      if (message.type === "opened") end = Number(message.offset);
      messages.push(message);
    }
    wake();
  });
  ws.once("close", () => wake());
  await once(ws, "open");
  if (opens) say({ type: "open", columns, rows, ...(offset !== undefined && { offset }) });
  return client;
}
