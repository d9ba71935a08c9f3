import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { buildApp } from "#http/app.ts";
import type { Catalog } from "#http/catalog.ts";
import type { Runtime } from "#http/runtime.ts";
import { type Ingress, startIngress } from "../ingress/ingress.ts";
import { answerBadRequests, isRefused, isUpgradeRefused, unreadableRequest } from "./bad-requests.ts";
import { refusedPort } from "./refused-port.ts";
import { serveSockets } from "./sockets.ts";

export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** 0: a free one. */
  readonly port: number;
  /** The setting that says so. */
  readonly setting: "PORT" | "METRICS_PORT";
  readonly sockets?: Catalog["sockets"];
  /** Also the pages of environments, below the domain of the settings. */
  readonly pages?: boolean;
  /** The time after which a connection on which an answer makes no progress is closed: `STALLED_MS` if undefined. */
  readonly stalledAfterMs?: number;
}

/** Of request line and headers together, as an HTTP API takes them (docs/apis/common.md#limits). */
const HEAD_BYTES = 10_240;

/** No answer is quiet for so long: calls wait for at most 20 s, and event streams send a comment every 5 s. */
const STALLED_MS = 60_000;

/**
 * All these endpoints in one server on 127.0.0.1, whose port its runtime may depend on. Throws when the port is in use.
 */
export async function startServer(
  runtimeAt: (port: number) => Runtime,
  entries: Catalog["endpoints"],
  {
    port: wanted,
    setting,
    sockets: declared = [],
    pages: hasPages = false,
    stalledAfterMs = STALLED_MS,
  }: ServerOptions,
): Promise<RunningServer> {
  const server = createServer({
    maxHeaderSize: HEAD_BYTES,
    shouldUpgradeCallback: wantsWebSocket,
    // Said here, in words (bad-requests.ts).
    requireHostHeader: false,
  });
  // No request is read before this function lets go: what answers is there by then.
  const port = await listen(server, wanted, setting);
  const runtime = runtimeAt(port);
  const app = buildApp(
    runtime,
    entries.map(({ declaration }) => declaration),
  );
  const api = getRequestListener(app.fetch, { errorHandler: unreadableRequest(runtime) });
  answerBadRequests(server, runtime.ids);
  const open = new Set<Socket>();
  server.on("connection", (socket) => open.add(socket.once("close", () => open.delete(socket))));
  const pages: Ingress | undefined = hasPages ? startIngress(runtime) : undefined;
  server.on("request", (incoming, outgoing) => {
    if (isRefused(incoming, outgoing, runtime.ids)) return;
    if (pages?.answer(incoming, outgoing)) return;
    // A client that reads nothing would keep its stream, and whatever the stream holds, for ever.
    outgoing.setTimeout(stalledAfterMs, () => outgoing.destroy());
    void api(incoming, outgoing);
  });
  const sockets = serveSockets(server, runtime, declared, {
    plain: (request) => app.fetch(request),
    isTaken: (incoming, socket, head) =>
      isUpgradeRefused(incoming, runtime.ids) || (pages?.upgrade(incoming, socket, head) ?? false),
  });
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        sockets.stop();
        pages?.stop();
        server.close(() => resolve());
        server.closeIdleConnections();
        // Not closeAllConnections: that knows none that was made a tunnel or a WebSocket.
        setTimeout(() => {
          for (const socket of open) socket.destroy();
        }, 200).unref();
      }),
  };
}

/** Answers the port. */
async function listen(server: Server, port: number, setting: ServerOptions["setting"]): Promise<number> {
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    throw refusedPort(error, port, `Set ${setting} to another one, or to 0 for any free one`);
  }
  return (server.address() as AddressInfo).port;
}

/** Other protocols that a client offers to go on with (`curl --http2` does) are not taken up. */
function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
}
