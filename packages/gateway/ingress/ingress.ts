import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { keyMemory } from "#http/keys/key-check.ts";
import type { Runtime } from "#http/runtime.ts";
import type { Reach } from "../ports/reach.ts";
import type { TakeStream } from "../ports/stream-places.ts";
import {
  needsUpgrade,
  TERMINAL_PATH,
  type TerminalSockets,
  type TerminalTimes,
  terminalSockets,
} from "../terminal/terminal-sockets.ts";
import {
  type Authorize,
  getPath,
  type IngressHost,
  ingressAccess,
  ingressHosts,
  type Target,
} from "./ingress-access.ts";
import { busy, outage, type Page, show } from "./ingress-page.ts";
import { type ProxyTimes, passOn, passUpgrade, proxyTimes } from "./ingress-proxy.ts";
import { KeptConnections } from "./kept-connections.ts";
import { type ConnectPage, connectLocally } from "./page-connection.ts";
import { pagePlaces } from "./page-places.ts";

export interface IngressTimes extends ProxyTimes, TerminalTimes {}

export interface IngressOptions {
  readonly times?: Partial<IngressTimes>;
  /** Connection to a page. The default connects to the page's address on this machine. */
  readonly connect?: ConnectPage;
  /** Whether a connection never leads to another run than its own, so it may be used again. */
  readonly isBoundToRun?: boolean;
  /** Ways into the terminals of runs. */
  readonly reach: Pick<Reach, "openTerminal">;
  /** Counts the requests of pages among all streams of a replica. */
  readonly takeStream?: TakeStream | undefined;
}

export interface Ingress {
  answer(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  stop(): void;
}

/** Key and environment of an open socket are read at most once in 5 s. It closes soon after that. */
const CHECK_MS = 1_000;
const PING_MS = 30_000;
/** A proxied answer has up to a dozen, and more if its request is sent again. */
const MOST_LISTENERS = 20;

export function startIngress(given: Runtime<"table">, options: IngressOptions): Ingress {
  // Pages and terminals share the reads of keys.
  const runtime = { ...given, keys: given.keys ?? keyMemory() };
  const { connect = connectLocally } = options;
  const times = { ...proxyTimes, checkMs: CHECK_MS, pingMs: PING_MS, ...options.times };
  const kept = options.isBoundToRun ? new KeptConnections({ idleMs: times.keptMs }) : undefined;
  const findHost = ingressHosts(runtime.settings.domain);
  const { admit, check } = ingressAccess(runtime, options.isBoundToRun ?? false);
  const open: OpenPages = new Set();
  const checking = new Set<PageRequest>();
  const checks = setInterval(() => closeStrangers(open, checking, check), times.checkMs);
  const terminals = terminalSockets(runtime, options.reach, times);
  const parts = { runtime, admit, connect, kept, times, open, terminals, takePlace: pagePlaces(options.takeStream) };
  return {
    answer: (incoming, outgoing) => {
      const host = findHost(incoming);
      if (!host) return false;
      outgoing.setMaxListeners(MOST_LISTENERS);
      void serve(parts, { incoming, outgoing, host }).catch(() => outgoing.destroy());
      return true;
    },
    upgrade: (incoming, socket, head) => {
      const host = findHost(incoming);
      if (!host) return false;
      const outgoing = responseOn(incoming, socket.setMaxListeners(MOST_LISTENERS));
      void serve(parts, { incoming, outgoing, host, tunnel: { socket, head } }).catch(() => socket.destroy());
      return true;
    },
    stop: () => {
      clearInterval(checks);
      terminals.stop();
      kept?.stop();
      for (const { tunnel } of open) tunnel?.socket.destroy();
    },
  };
}

interface Parts {
  readonly runtime: Runtime<"table">;
  readonly admit: Authorize;
  readonly connect: ConnectPage;
  readonly kept: KeptConnections | undefined;
  readonly times: ProxyTimes;
  readonly open: OpenPages;
  readonly terminals: TerminalSockets;
  readonly takePlace: ReturnType<typeof pagePlaces>;
}

interface PageRequest {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly host: IngressHost;
  readonly tunnel?: { readonly socket: Duplex; readonly head: Buffer };
}

/** Open WebSockets, and answers that go on, such as streams of events. One socket has several if a client pipelines. */
type OpenPages = Set<PageRequest>;

async function serve(parts: Parts, pageRequest: PageRequest): Promise<void> {
  const { runtime, admit, connect, times, open } = parts;
  const { incoming, outgoing, host, tunnel } = pageRequest;
  const startedAt = runtime.clock.monotonic();
  let target: Target | undefined;
  const forget = () => open.delete(pageRequest);
  outgoing.once("close", () => {
    if (!tunnel) forget();
    logPage(runtime, pageRequest, startedAt, target);
  });
  if (isTerminal(incoming)) return serveTerminal(parts, pageRequest);
  const verdict = await admit(incoming, host);
  if (outgoing.destroyed) return;
  if (isPage(verdict)) return show(outgoing, verdict);
  target = verdict;
  const { place, actor } = verdict;
  // A load balancer keeps the addresses of clients. Behind a tunnel, visitors share one.
  const giveBack = parts.takePlace(place.run, actor ? undefined : incoming.socket.remoteAddress);
  if (!giveBack) return show(outgoing, busy);
  outgoing.once("close", giveBack);
  const { scheme } = runtime.settings;
  const passed = { incoming, outgoing, host: host.host, scheme, times, isVisitor: !actor };
  const request = { ...passed, connect: () => connect(place) };
  open.add(pageRequest);
  if (!tunnel) return passOn({ ...request, kept: findKept(parts, incoming, verdict) });
  tunnel.socket.once("close", forget);
  passUpgrade({ ...request, ...tunnel });
}

function findKept({ kept }: Parts, { socket }: IncomingMessage, { actor, place }: Target) {
  return (
    kept && { connections: kept, place: { ...place, client: actor ? `user ${actor.uid}` : kept.clientAt(socket) } }
  );
}

/** Reports whether the path is the gateway's own. A page of an environment cannot have it. */
function isTerminal(incoming: IncomingMessage): boolean {
  return getPath(incoming).split("?")[0] === TERMINAL_PATH;
}

function serveTerminal({ terminals }: Parts, { incoming, outgoing, host, tunnel }: PageRequest): void {
  if (tunnel) terminals.upgrade(incoming, tunnel.socket, tunnel.head, outgoing, host.label);
  else show(outgoing, needsUpgrade);
}

/** Creates a response for an upgrade request, which Node leaves without one. */
function responseOn(incoming: IncomingMessage, socket: Duplex): ServerResponse {
  const outgoing = new ServerResponse(incoming).setMaxListeners(MOST_LISTENERS);
  outgoing.shouldKeepAlive = false;
  outgoing.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
  outgoing.once("finish", () => incoming.socket.destroySoon());
  socket.on("error", () => socket.destroy());
  return outgoing;
}

function logPage(
  { log, clock }: Runtime<"table">,
  pageRequest: PageRequest,
  startedAt: number,
  target: Target | undefined,
): void {
  const { method } = pageRequest.incoming;
  const ms = Math.round(clock.monotonic() - startedAt);
  const { actor, uid } = target ?? {};
  log.info("page", {
    method,
    status: pageRequest.outgoing.statusCode,
    ms,
    ...(actor && { user: actor.username, key: actor.keyPrefix, uid }),
  });
}

/** Checks each open WebSocket and answer by itself, so that one slow read delays no other. */
function closeStrangers(open: OpenPages, checking: Set<PageRequest>, check: Authorize): void {
  for (const request of open) {
    if (checking.has(request)) continue;
    checking.add(request);
    void check(request.incoming, request.host).then((now) => {
      checking.delete(request);
      if (isPage(now) && now !== outage && open.has(request))
        (request.tunnel?.socket ?? request.incoming.socket).destroy();
    });
  }
}

function isPage(verdict: Target | Page): verdict is Page {
  return "status" in verdict;
}
