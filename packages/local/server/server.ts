import { createServer, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type Ingress, type IngressOptions, startIngress } from "#gateway/ingress/ingress.ts";
import { buildApp } from "#http/app.ts";
import type { Catalog } from "#http/catalog.ts";
import { listConsolePages } from "#http/console-pages.ts";
import { answerBadRequests, isRefused, isUpgradeRefused, unreadableRequest } from "#http/request/bad-requests.ts";
import type { Runtime } from "#http/runtime.ts";
import { answerConsole, isForConsole } from "./console.ts";
import { listen } from "./listen.ts";
import { serveSockets } from "./sockets.ts";

export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly port: number;
  readonly setting: "PORT" | "METRICS_PORT";
  readonly sockets?: Catalog["sockets"];
  /** Set if pages and terminals of environments are served: ways into these. */
  readonly ways?: IngressOptions;
  readonly stalledAfterMs?: number;
}

/** Limit of request line and headers together, as in HTTP APIs of AWS (docs/apis/common.md#limits). */
const HEAD_BYTES = 10_240;

/** No answer is silent for so long: calls wait at most 20 s, and event streams send a comment every 5 s. */
const STALLED_MS = 60_000;

/** Serves all endpoints on 127.0.0.1. The runtime may depend on the port. Throws if the port is in use. */
export async function startServer(
  runtimeAt: (port: number) => Runtime,
  entries: Catalog["endpoints"],
  { port: wanted, setting, sockets: declared = [], ways, stalledAfterMs = STALLED_MS }: ServerOptions,
): Promise<RunningServer> {
  const server = createServer({
    maxHeaderSize: HEAD_BYTES,
    shouldUpgradeCallback: wantsWebSocket,
    // bad-requests.ts refuses a missing host with a message.
    requireHostHeader: false,
  });
  // No request is read before this function yields, so all listeners are attached by then.
  const port = await listen(server, wanted, `Set ${setting} to another port, or to 0 for any free port`);
  const runtime = runtimeAt(port);
  const app = buildApp(
    runtime,
    entries.map(({ declaration }) => declaration),
  );
  const api = getRequestListener(app.fetch, { errorHandler: unreadableRequest(runtime) });
  answerBadRequests(server, runtime.ids);
  const open = new Set<Socket>();
  server.on("connection", (socket) => open.add(socket.once("close", () => open.delete(socket))));
  const consolePages = listConsolePages(runtime.settings);
  const pages: Ingress | undefined = ways && startIngress(runtime, ways);
  server.on("request", (incoming, outgoing) => {
    if (isRefused(incoming, outgoing, runtime.ids)) return;
    if (pages && answerConsole(consolePages, incoming, outgoing)) return;
    if (!isForConsole(incoming) && pages?.answer(incoming, outgoing)) return;
    // A client that does not read would keep its stream and the stream's resources forever.
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
        // closeAllConnections does not know CONNECT tunnels and WebSockets.
        setTimeout(() => {
          for (const socket of open) socket.destroy();
        }, 200).unref();
      }),
  };
}

function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
}
