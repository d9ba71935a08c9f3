import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import {
  offsetBytes,
  readOffset,
  sizeBytes,
  TERMINAL_WINDOW,
  type TerminalFrame,
  terminalFrame,
  terminalFrameReader,
} from "#relay/terminal-frames.ts";
import { NoTerminal, type Reach } from "../ports/reach.ts";
import { type ClientMessage, readMessage } from "./client-message.ts";
import { type Closing, closings } from "./close-codes.ts";

interface ViewedTerminal {
  readonly reach: Pick<Reach, "openTerminal">;
  readonly run: string;
  readonly id: string;
  readonly isNew: boolean;
  /**
   * Returns why the shell has ended or the stream was cut, if the record or the key explains that. It waits a little for
   * a record if the shell was cut off. It never throws.
   */
  readonly findReason: (isCut: boolean) => Promise<Closing | undefined>;
  /** Is called once the client was told that its terminal is open. */
  readonly onOpened: () => void;
}

export interface Viewer {
  close(closing: Closing): void;
}

/** Exit codes of a shell that SIGHUP, SIGKILL or SIGTERM has ended, as the end of its run does. */
const CUT_CODES: ReadonlySet<number> = new Set([129, 137, 143]);

const OPEN_WITHIN_MS = 10_000;
/**
 * Most output that waits to be sent. Only a client that acknowledges output without reading it reaches this limit. Its
 * pings are not answered, or it could fill the memory with answers.
 */
const MOST_BUFFERED = 2 * TERMINAL_WINDOW;
/** Time for a client's closing handshake, and for an environment to end its stream. */
const CLOSE_WITHIN_MS = 5_000;

/** Offsets and counts of one connection, which both sides must respect. */
interface Flow {
  sent: number;
  acked: number;
  untaken: number;
  received: number;
}

/** Connects a client with its terminal: messages and bytes on one side, frames on the other. */
export function viewTerminal(ws: WebSocket, terminal: ViewedTerminal): Viewer {
  const flow: Flow = { sent: 0, acked: 0, untaken: 0, received: 0 };
  let stream: Duplex | undefined;
  let isOpening = false;
  let hasExited = false;
  const close = (closing: Closing) => {
    if (ws.readyState === ws.OPEN) closeSocket(ws, closing);
  };
  const closeFor = async (closing: Closing, isCut: boolean) => {
    if (ws.readyState === ws.OPEN) close((await terminal.findReason(isCut)) ?? closing);
  };
  const late = setTimeout(() => close("late"), OPEN_WITHIN_MS);
  const say = (message: object) => sayTo(ws, message);
  const open = async (message: ClientMessage & { readonly type: "open" }) => {
    isOpening = true;
    clearTimeout(late);
    const size = { columns: message.columns, lines: message.rows };
    const opened = await openStream(terminal, size);
    if (typeof opened === "string") return close(opened);
    if (ws.readyState !== ws.OPEN) return void opened.destroy();
    stream = opened;
    readFrames(opened, ws, (frame) => {
      takeFrame(frame, { flow, ws, say, close, id: terminal.id });
      if (frame.kind === "hello") terminal.onOpened();
      if (frame.kind !== "exit") return;
      hasExited = true;
      void closeFor("exited", CUT_CODES.has(frame.content.readUInt32BE(0)));
    });
    opened.once("end", () => opened.destroy());
    opened.once("close", () => void (hasExited || closeFor("unreachable", true)));
    opened.write(terminalFrame("attach", Buffer.concat([sizeBytes(size), offsetBytes(message.offset)])));
  };
  ws.on("message", (data: Buffer, isBinary: boolean) => {
    const message = isBinary ? data : readMessage(data);
    if (!message || !mayFollow(message, stream, isOpening, flow)) return close("badFrame");
    if ("type" in message && message.type === "open") return void open(message);
    if ("type" in message && message.type === "ping") {
      if (ws.bufferedAmount <= MOST_BUFFERED) say({ type: "pong" });
      return;
    }
    if (stream && !stream.write(toFrame(message))) holdBack(ws, stream);
  });
  ws.once("close", (code: number) => {
    clearTimeout(late);
    // The client has all of it, so nothing has to be kept for its return.
    if (hasExited && code === closings.exited[0]) stream?.write(terminalFrame("ack", offsetBytes(flow.sent)));
    leave(stream);
  });
  return { close };
}

/** Ends the input, so that the environment gets all of it. A stream that does not end is destroyed. */
function leave(stream: Duplex | undefined): void {
  if (!stream) return;
  stream.end();
  setTimeout(() => stream.destroy(), CLOSE_WITHIN_MS).unref();
}

export function sayTo(ws: WebSocket, message: object): void {
  if (ws.readyState === ws.OPEN) ws.send(JSON.stringify(message));
}

export function closeSocket(ws: WebSocket, closing: Closing): void {
  const [code, reason] = closings[closing];
  ws.close(code, reason);
  // A paused socket would not see the client's answer.
  if (ws.isPaused) ws.resume();
  setTimeout(() => ws.terminate(), CLOSE_WITHIN_MS).unref();
}

async function openStream(
  { reach, run, id, isNew }: ViewedTerminal,
  size: { readonly columns: number; readonly lines: number },
): Promise<Duplex | Closing> {
  try {
    return (await reach.openTerminal(run, { id, isNew, ...size })).on("error", () => undefined);
  } catch (error) {
    return error instanceof NoTerminal ? error.reason : "unreachable";
  }
}

/** Reports whether a client may send this now, and counts it. */
function mayFollow(
  message: Buffer | ClientMessage,
  stream: Duplex | undefined,
  isOpening: boolean,
  flow: Flow,
): boolean {
  if ("type" in message && message.type === "ping") return true;
  if ("type" in message && message.type === "open") return !isOpening;
  if (!stream) return false;
  if (!("type" in message)) {
    flow.untaken += message.length;
    return flow.untaken <= TERMINAL_WINDOW;
  }
  if (message.type !== "ack") return true;
  if (message.offset < flow.acked || message.offset > flow.sent) return false;
  flow.acked = message.offset;
  return true;
}

function toFrame(message: Buffer | ClientMessage): Buffer {
  if (!("type" in message)) return terminalFrame("input", message);
  if (message.type === "ack") return terminalFrame("ack", offsetBytes(message.offset));
  const { columns, rows: lines } = message as ClientMessage & { readonly type: "resize" };
  return terminalFrame("size", sizeBytes({ columns, lines }));
}

/** Stops reading from a client until its environment has accepted the input so far. */
function holdBack(ws: WebSocket, stream: Duplex): void {
  ws.pause();
  stream.once("drain", () => ws.resume());
}

/** The environment is hostile too: a stream that is not in the protocol ends. */
function readFrames(stream: Duplex, ws: WebSocket, take: (frame: TerminalFrame) => void): void {
  const read = terminalFrameReader();
  stream.on("data", (part: Buffer) => {
    try {
      for (const frame of read(part)) take(frame);
    } catch {
      stream.destroy();
    }
    if (ws.bufferedAmount > MOST_BUFFERED) {
      stream.pause();
      // No bytes of output: an empty text frame would be no message of the protocol.
      ws.send(Buffer.alloc(0), () => stream.resume());
    }
  });
}

interface Taking {
  readonly flow: Flow;
  readonly ws: WebSocket;
  readonly id: string;
  readonly say: (message: object) => void;
  readonly close: (closing: Closing) => void;
}

function takeFrame({ kind, content }: TerminalFrame, { flow, ws, say, close, id }: Taking): void {
  if (kind === "hello") {
    flow.sent = readOffset(content) ?? 0;
    flow.acked = flow.sent;
    say({ type: "opened", terminal_id: id, offset: flow.sent, window: TERMINAL_WINDOW });
  }
  if (kind === "output") {
    flow.sent += content.length;
    if (flow.sent - flow.acked > TERMINAL_WINDOW) throw new Error("More output than the window allows");
    if (ws.readyState === ws.OPEN) ws.send(content);
  }
  if (kind === "taken") {
    const taken = Math.min(content.readUInt32BE(0), flow.untaken);
    flow.untaken -= taken;
    flow.received += taken;
    say({ type: "ack", received: flow.received });
  }
  if (kind === "replaced") close("replaced");
  if (kind === "exit") say({ type: "exit", exit_code: content.readUInt32BE(0) });
}
