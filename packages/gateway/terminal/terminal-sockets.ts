import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type WebSocket, WebSocketServer } from "ws";
import { takeTerminalTicket } from "#core/environments/access/terminal-grants.ts";
import type { TerminalGrant } from "#core/environments/access/terminal-tickets.ts";
import { isOutage } from "#http/answers/outage.ts";
import { withoutKeys } from "#http/request/redaction.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { TERMINAL_WINDOW } from "#relay/terminal-frames.ts";
import { watch } from "../directory/watch.ts";
import { type Page, show } from "../ingress/ingress-page.ts";
import type { Reach } from "../ports/reach.ts";
import type { Closing } from "./close-codes.ts";
import { type Seen, type TerminalChecks, terminalChecks } from "./terminal-checks.ts";
import { type TerminalNotices, terminalNotices } from "./terminal-notices.ts";
import { closeSocket, sayTo, type Viewer, viewTerminal } from "./terminal-viewer.ts";

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

const REASON_TRIES = 5;
const REASON_EVERY_MS = 500;

interface Open {
  readonly ws: WebSocket;
  readonly grant: TerminalGrant;
  readonly viewer: Viewer;
  readonly notices: TerminalNotices;
  isOpened: boolean;
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
  const checks = terminalChecks(runtime);
  const admit = admission(runtime, checks);
  const open = new Set<Open>();
  const accept = (ws: WebSocket, incoming: IncomingMessage, label: string) => {
    ws.on("error", () => undefined);
    // Frames that come before the ticket is known to be good wait in the socket.
    ws.pause();
    const ticket = findTicket(incoming) ?? "";
    void admit(ticket, { label, origin: incoming.headers.origin ?? null }).then(({ grant, ...seen }) => {
      ws.resume();
      const isNew = grant?.isNew === true;
      const notices = terminalNotices((frame) => sayTo(ws, frame), { isNew, now: () => runtime.clock.now() });
      if (!grant || seen.closing) {
        notices.show(seen);
        return closeSocket(ws, seen.closing ?? "notAdmitted");
      }
      const { terminal: id, uid, run } = grant;
      const findReason = (isCut: boolean) => findClosing(checks, entry, isCut);
      const onOpened = () => {
        entry.isOpened = true;
        void checkEach([entry], checks);
      };
      const viewer = viewTerminal(ws, { reach, run: nameOfRun({ uid, run }), id, isNew, findReason, onOpened });
      const entry: Open = { ws, grant, viewer, notices, isOpened: false, isAlive: true };
      open.add(entry);
      ws.on("pong", () => {
        entry.isAlive = true;
      });
      ws.once("close", () => open.delete(entry));
    });
  };
  const stopWatching = watch(() => checkEach(open, checks), checkMs);
  const pinging = setInterval(() => ping(open), pingMs);
  return {
    upgrade: (incoming, socket, head, outgoing, label) => {
      if (findTicket(incoming) === undefined) return show(outgoing, badHandshake);
      outgoing.statusCode = 101;
      outgoing.detachSocket(socket as Parameters<ServerResponse["detachSocket"]>[0]);
      socket.once("close", () => outgoing.emit("close"));
      wss.handleUpgrade(incoming, socket, head, (ws) => accept(ws, incoming, label));
    },
    stop: () => {
      stopWatching();
      clearInterval(pinging);
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

type Admit = (ticket: string, at: Pick<TerminalGrant, "label" | "origin">) => Promise<Admission>;

interface Admission extends Seen {
  readonly grant: TerminalGrant | undefined;
}

/** It never throws. */
function admission(runtime: Runtime<"table">, checks: TerminalChecks): Admit {
  const ctx = createContext(runtime);
  const refuse = (closing: Closing): Admission => ({ closing, grant: undefined, environment: undefined });
  return async (ticket, at) => {
    try {
      const grant = await takeTerminalTicket(ctx, ticket, at);
      return grant ? { grant, ...(await checks.lookAnew(grant)) } : refuse("notAdmitted");
    } catch (error) {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      runtime.log.error("terminal failed", { outage: isOutage(error), error: withoutKeys(words) });
      return refuse("unreachable");
    }
  };
}

/** Shows new notices, and closes terminals whose key or run has ended. */
async function checkEach(open: Iterable<Open>, checks: TerminalChecks): Promise<void> {
  const looks = [...open].map(async ({ grant, viewer, notices, isOpened }) => {
    const seen = await checks.look(grant);
    if (seen.closing || isOpened) notices.show(seen);
    if (seen.closing) viewer.close(seen.closing);
  });
  // Terminals stay open while the table is away.
  await Promise.allSettled(looks);
}

/** A shell may be cut off before the worker has noted why. */
async function findClosing(
  checks: TerminalChecks,
  { grant, notices }: Pick<Open, "grant" | "notices">,
  isCut: boolean,
): Promise<Closing | undefined> {
  for (let tries = isCut ? REASON_TRIES : 1; tries > 0; tries -= 1) {
    const seen = await checks.lookAnew(grant).catch(() => undefined);
    if (seen?.closing) {
      notices.show(seen);
      return seen.closing;
    }
    if (tries > 1) await sleep(REASON_EVERY_MS);
  }
  return undefined;
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
