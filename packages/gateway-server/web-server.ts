import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type Ingress, startIngress } from "#gateway/ingress/ingress.ts";
import { getPath, ingressHosts } from "#gateway/ingress/ingress-access.ts";
import type { ConnectPage } from "#gateway/ingress/page-connection.ts";
import type { NoteFull } from "#gateway/ports/full-notes.ts";
import type { Reach } from "#gateway/ports/reach.ts";
import type { TakeStream } from "#gateway/ports/stream-places.ts";
import { answerBadRequests, isRefused, isUpgradeRefused } from "#http/request/bad-requests.ts";
import type { Runtime } from "#http/runtime.ts";
import { listen } from "./listen.ts";
import type { AllowsSource } from "./sources.ts";
import { boundConnections, type WebBounds, webBounds } from "./web-bounds.ts";

export interface WebOptions {
  readonly runtime: Runtime<"table">;
  readonly connect: ConnectPage;
  readonly reach: Pick<Reach, "openTerminal">;
  /** Counts the requests of pages among all streams of a replica. */
  readonly takeStream?: TakeStream;
  readonly port: number;
  readonly isAllowed: AllowsSource;
  /** Reports whether this replica takes new connections. */
  readonly isReady: () => boolean;
  readonly noteFull?: NoteFull | undefined;
  readonly times?: Partial<WebTimes & WebBounds>;
}

interface WebTimes {
  /** Time for the headers of a request. */
  readonly headersMs: number;
  /** Time for the rest of a body after its answer. */
  readonly restMs: number;
}

const webTimes: WebTimes = { headersMs: 60_000, restMs: 30_000 };

export interface WebServer {
  readonly port: number;
  /** Refuses new WebSockets. Resolves when the open ones and all requests of pages have ended. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Limit of request line and headers together, as in HTTP APIs of AWS (docs/apis/common.md#limits). */
const HEAD_BYTES = 10_240;
const lastAnswersMs = 200;

/** Serves pages of environments at `<label>.DOMAIN`, and `/healthz` and `/readyz` at any other host. */
export async function startWeb(options: WebOptions): Promise<WebServer> {
  const { runtime, connect, reach, takeStream, port: wanted } = options;
  const times = { ...webTimes, ...webBounds, ...options.times };
  const server = createWebServer(times);
  const port = await listen(server, wanted, "PORT");
  const pages = startIngress(runtime, { connect, reach, takeStream, isBoundToRun: true });
  const sockets = new Set<Duplex>();
  server.on("connection", (socket) => sockets.add(socket.once("close", () => sockets.delete(socket))));
  boundConnections(server, times, options.noteFull);
  const work = openWork();
  answerBadRequests(server, runtime.ids);
  serve(server, { ...options, pages, work, times });
  return {
    port,
    drain: () => {
      // Their next requests come by new connections, which the load balancer gives to another replica.
      server.closeIdleConnections();
      return work.drain();
    },
    stop: () =>
      new Promise((resolve) => {
        pages.stop();
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, lastAnswersMs).unref();
      }),
  };
}

/** A request may take any time, because an upload may: ingress-proxy.ts limits the time between two of its bytes. */
export function createWebServer({ headersMs }: Pick<WebTimes, "headersMs">): Server {
  return createServer({
    maxHeaderSize: HEAD_BYTES,
    shouldUpgradeCallback: wantsWebSocket,
    // bad-requests.ts refuses a missing host with a message.
    requireHostHeader: false,
    requestTimeout: 0,
    headersTimeout: headersMs,
    connectionsCheckingInterval: Math.min(headersMs, 30_000),
  });
}

interface Serving extends WebOptions {
  readonly times: WebTimes;
  readonly pages: Ingress;
  readonly work: OpenWork;
}

function serve(server: Server, { runtime, pages, work, isAllowed, isReady, times }: Serving): void {
  const findHost = ingressHosts(runtime.settings.domain);
  const isFromElsewhere = ({ socket }: IncomingMessage) => !isAllowed(socket.remoteAddress ?? "");
  server.on("request", (incoming, outgoing) => {
    if (isRefused(incoming, outgoing, runtime.ids)) return;
    outgoing.once("finish", () => limitRest(incoming, times.restMs));
    // Probes come from the node and the load balancer, so ALLOWED_SOURCES does not cover them.
    if (!findHost(incoming)) return answerProbe(incoming, outgoing, isReady());
    if (isFromElsewhere(incoming)) return answer(outgoing, 403, "This network may not open pages.\n");
    if (work.isDraining()) outgoing.setHeader("Connection", "close");
    outgoing.once("close", work.begin());
    pages.answer(incoming, outgoing);
  });
  server.on("upgrade", (incoming, socket, head) => {
    if (isUpgradeRefused(incoming, runtime.ids)) return;
    if (!findHost(incoming)) return refuseUpgrade(socket, "404 Not Found");
    if (isFromElsewhere(incoming)) return refuseUpgrade(socket, "403 Forbidden");
    if (work.isDraining()) return refuseUpgrade(socket, "503 Service Unavailable");
    socket.once("close", work.begin());
    pages.upgrade(incoming, socket, head);
  });
}

/** Closes the connection of an answered request whose body does not end in time. */
function limitRest(incoming: IncomingMessage, restMs: number): void {
  if (incoming.complete) return;
  const late = setTimeout(() => incoming.socket.destroy(), restMs);
  for (const event of ["end", "close"]) incoming.once(event, () => clearTimeout(late));
}

function answerProbe(incoming: IncomingMessage, outgoing: ServerResponse, isReady: boolean): void {
  const [path = ""] = getPath(incoming).split("?");
  const probes: Readonly<Record<string, readonly [number, string]>> = {
    "/healthz": [200, "alive\n"],
    "/readyz": isReady ? [200, "ready\n"] : [503, "draining\n"],
  };
  answer(outgoing, ...(probes[path] ?? [404, "No page has this address.\n"]));
}

function answer(outgoing: ServerResponse, status: number, text: string): void {
  const headers = { "Content-Type": "text/plain; charset=utf-8", "Content-Length": Buffer.byteLength(text) };
  outgoing.writeHead(status, { ...headers, "Cache-Control": "no-store" });
  outgoing.end(outgoing.req.method === "HEAD" ? undefined : text);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on("error", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function wantsWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
}

interface OpenWork {
  /** Counts a piece of work, and returns the function that ends it. */
  begin(): () => void;
  isDraining(): boolean;
  /** Resolves when no work is left. */
  drain(): Promise<void>;
}

function openWork(): OpenWork {
  let open = 0;
  let drained: PromiseWithResolvers<void> | undefined;
  return {
    begin: () => {
      open += 1;
      return () => {
        open -= 1;
        if (open === 0) drained?.resolve();
      };
    },
    isDraining: () => drained !== undefined,
    drain: () => {
      drained ??= Promise.withResolvers();
      if (open === 0) drained.resolve();
      return drained.promise;
    },
  };
}
