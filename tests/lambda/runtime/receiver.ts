import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { RECEIVER_HOST } from "../stage.ts";

export interface Receiver {
  readonly url: string;
  readonly seen: readonly Seen[];
  stop(): void;
}

export interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers with each status in turn and repeats the last one. */
export async function startReceiver(statuses: readonly number[]): Promise<Receiver> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    seen.push({ headers: request.headers, body: await text(request) });
    response.writeHead(statuses[seen.length - 1] ?? statuses.at(-1) ?? 204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://${RECEIVER_HOST}:${(server.address() as AddressInfo).port}/berth`,
    seen,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
