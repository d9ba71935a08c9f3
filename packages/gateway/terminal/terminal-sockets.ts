import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { hasActiveRun, takeTerminalTicket } from "#core/environments/access/terminal-grants.ts";
import type { TerminalGrant } from "#core/environments/access/terminal-tickets.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { isOutage } from "#http/answers/outage.ts";
import { hashCheck } from "#http/keys/key-check.ts";
import { withoutKeys } from "#http/request/redaction.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { TERMINAL_WINDOW } from "#relay/terminal-frames.ts";
import { type Page, show } from "../ingress/ingress-page.ts";
import type { Reach } from "../ports/reach.ts";
import type { Closing } from "./close-codes.ts";
import { closeSocket, type Viewer, viewTerminal } from "./terminal-viewer.ts";

export interface TerminalTimes {
  readonly checkMs: number;
  readonly pingMs: number;
}

export interface TerminalSockets {
  /** Serves a handshake at `/.berth/terminal` of the host with this label. */
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, outgoing: ServerResponse, label: string): void;
  stop(): void;
}

/** A path of the gateway in every environment's host. */
export const TERMINAL_PATH = "/.berth/terminal";
export const needsUpgrade: Page = {
  status: 426,
  title: "A WebSocket is needed",
  text: "This is the address of a terminal.",
  headers: { Upgrade: "websocket" },
};
const badHandshake: Page = { status: 400, title: "Bad request", text: "The subprotocols of a terminal are missing." };

const PROTOCOL = "berth.terminal.v1";
const TICKET_PREFIX = "berth.ticket.";

interface Open {
  readonly ws: WebSocket;
  readonly grant: TerminalGrant;
  readonly viewer: Viewer;
  isAlive: boolean;
}

/** Serves web terminals by tickets (docs/apis/common.md#web-terminals). Open ones are checked again and again. */
export function terminalSockets(
  runtime: Runtime<"table">,
  reach: Pick<Reach, "openTerminal">,
  { checkMs, pingMs }: TerminalTimes,
): TerminalSockets {
  const options = { noServer: true, clientTracking: false, maxPayload: TERMINAL_WINDOW };
  const wss = new WebSocketServer({ ...options, handleProtocols: () => PROTOCOL });
  const admit = admission(runtime);
  const open = new Set<Open>();
  const accept = (ws: WebSocket, incoming: IncomingMessage, label: string) => {
    ws.on("error", () => undefined);
    // Frames that come before the ticket is known to be good wait in the socket.
    ws.pause();
    const ticket = findTicket(incoming) ?? "";
    void admit(ticket, { label, origin: incoming.headers.origin ?? null }).then((grant) => {
      ws.resume();
      if (typeof grant === "string") return closeSocket(ws, grant);
      const { terminal: id, isNew, uid, run } = grant;
      const findReason = () => findClosing(runtime, grant);
      const viewer = viewTerminal(ws, { reach, run: nameOfRun({ uid, run }), id, isNew, findReason });
      const entry: Open = { ws, grant, viewer, isAlive: true };
      open.add(entry);
      ws.on("pong", () => {
        entry.isAlive = true;
      });
      ws.once("close", () => open.delete(entry));
    });
  };
  const timers = [
    setInterval(() => void closeStrangers(open, runtime), checkMs),
    setInterval(() => ping(open), pingMs),
  ];
  return {
    upgrade: (incoming, socket, head, outgoing, label) => {
      if (findTicket(incoming) === undefined) return show(outgoing, badHandshake);
      outgoing.statusCode = 101;
      outgoing.detachSocket(socket as Parameters<ServerResponse["detachSocket"]>[0]);
      socket.once("close", () => outgoing.emit("close"));
      wss.handleUpgrade(incoming, socket, head, (ws) => accept(ws, incoming, label));
    },
    stop: () => {
      for (const timer of timers) clearInterval(timer);
      for (const { viewer } of open) viewer.close("stopping");
    },
  };
}

/** Returns the ticket of a handshake with both subprotocols. */
function findTicket({ headers }: IncomingMessage): string | undefined {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  const tickets = offered.filter((name) => name.startsWith(TICKET_PREFIX));
  const [ticket] = tickets;
  if (!offered.includes(PROTOCOL) || tickets.length !== 1) return undefined;
  return ticket?.slice(TICKET_PREFIX.length);
}

type Admit = (ticket: string, at: Pick<TerminalGrant, "label" | "origin">) => Promise<TerminalGrant | Closing>;

/** It never throws. */
function admission(runtime: Runtime<"table">): Admit {
  const ctx = createContext(runtime);
  return async (ticket, at) => {
    try {
      const grant = await takeTerminalTicket(ctx, ticket, at);
      if (!grant) return "notAdmitted";
      return (await whyClosed(runtime, grant)) ?? grant;
    } catch (error) {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      runtime.log.error("terminal failed", { outage: isOutage(error), error: withoutKeys(words) });
      return "unreachable";
    }
  };
}

/** Returns undefined while the key and the run of a grant are good. Throws if the table is away. */
async function whyClosed(runtime: Runtime<"table">, grant: TerminalGrant): Promise<Closing | undefined> {
  const { ids, clock, settings, keys, ports, readsKeysOnly } = runtime;
  const check = hashCheck({ table: ports.table, ids, clock, settings, memory: keys, readsKeysOnly });
  try {
    await check(grant.keyHash);
  } catch (error) {
    if (error instanceof HttpError) return "notAdmitted";
    throw error;
  }
  return (await hasActiveRun(ports, grant)) ? undefined : "ended";
}

/** Returns undefined also while the table is away. */
function findClosing(runtime: Runtime<"table">, grant: TerminalGrant): Promise<Closing | undefined> {
  return whyClosed(runtime, grant).catch(() => undefined);
}

async function closeStrangers(open: ReadonlySet<Open>, runtime: Runtime<"table">): Promise<void> {
  for (const { grant, viewer } of open) {
    const closing = await findClosing(runtime, grant);
    if (closing) viewer.close(closing);
  }
}

function ping(open: ReadonlySet<Open>): void {
  for (const entry of open) {
    // A paused socket reads no pong. It waits until its environment accepts input.
    if (!entry.isAlive && !entry.ws.isPaused) {
      entry.ws.terminate();
      continue;
    }
    entry.isAlive = false;
    if (entry.ws.readyState === entry.ws.OPEN) entry.ws.ping();
  }
}
