import type { Duplex } from "node:stream";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import { type Frame, frame, frameReader } from "#relay/frames.ts";
import { streamLine } from "#relay/multiplexer.ts";
import { limitPace } from "#relay/pace.ts";
import { programLine } from "./program-line.ts";
import { cutOff, type LineEnds, message, parseAnswer, type TunnelLine } from "./tunnel-line.ts";

/** Programs and connections of one run, over a connection from images/tools/tunnel. */
export interface Tunnel {
  open(request: PodSessionRequest): Promise<PodSession>;
  /** Connects to a port of the run's loopback. Rejects if nothing answers. */
  dial(port: number): Promise<Duplex>;
  isEnded(): boolean;
  readonly ended: Promise<void>;
  close(): void;
}

/** More than one run may have streams (../ports/stream-places.ts). */
const MOST_LINES = 1_000;
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;
const OPEN_WITHIN_MS = 20_000;
const IDLE_MS = 600_000;

/** Speaks for the gateway on a connection. It closes the connection after some idle time, and if frames are invalid. */
export function tunnel(socket: Duplex, idleMs = IDLE_MS): Tunnel {
  const lines = new Map<number, TunnelLine<unknown>>();
  let lastId = 0;
  let idle: NodeJS.Timeout | undefined;
  const send = (bytes: Buffer) => {
    // Windows bound what waits here, unless the other side stops reading.
    if (socket.writableLength > MOST_UNREAD_BYTES) return void socket.destroy();
    if (!socket.writable) return;
    // All frames of one turn of the event loop are encrypted and sent at once.
    if (socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    socket.write(bytes);
  };
  const noteUse = () => {
    clearTimeout(idle);
    if (lines.size === 0) idle = setTimeout(() => socket.destroy(), idleMs).unref();
  };
  const begin = async <Opened>(request: object, getLine: (id: number, ends: LineEnds) => TunnelLine<Opened>) => {
    if (lines.size >= MOST_LINES) throw new Error("This environment has too many open connections");
    if (socket.destroyed) throw cutOff();
    lastId += 1;
    const id = lastId;
    const leave = () => void (lines.delete(id) && noteUse());
    const line = getLine(id, { send, leave });
    lines.set(id, line);
    noteUse();
    for (const bytes of [frame("open", id), message(id, request)]) send(bytes);
    const late = setTimeout(() => {
      send(frame("close", id));
      line.cut();
    }, OPEN_WITHIN_MS);
    return line.opened.finally(() => clearTimeout(late));
  };
  readFrames(socket, (next) => lines.get(next.id)?.take(next));
  const ended = new Promise<void>((resolve) => {
    socket.once("close", () => {
      clearTimeout(idle);
      for (const line of lines.values()) line.cut();
      resolve();
    });
  });
  noteUse();
  return {
    open: ({ words, text, env, terminal }) =>
      begin({ words: text === undefined ? words : [...words, text], env, terminal }, programLine),
    dial: (port) => begin({ port }, portLine),
    isEnded: () => socket.destroyed,
    ended,
    close: () => void socket.destroy(),
  };
}

function portLine(id: number, { send, leave }: LineEnds): TunnelLine<Duplex> {
  const opened = Promise.withResolvers<Duplex>();
  const line = streamLine(id, send, leave);
  const { stream } = line;
  stream.once("close", () => opened.reject(new Error("Nothing answered on that port")));
  return {
    opened: opened.promise,
    take: (next) => {
      if (next.kind !== "message") line.take(next);
      else if (parseAnswer(next).isOpen) opened.resolve(stream);
    },
    cut: () => void stream.destroy(cutOff()),
  };
}

/** Frames take time of the process that serves all runs, however few bytes they have. */
const FRAME_COST = 2 * 1024;

function readFrames(socket: Duplex, take: (frame: Frame) => void): void {
  const read = frameReader();
  const pace = limitPace(socket);
  socket.on("error", () => undefined);
  socket.once("end", () => socket.destroy());
  socket.on("data", (part: Buffer) => {
    try {
      const frames = read(part);
      for (const next of frames) take(next);
      pace(frames.length * FRAME_COST);
    } catch {
      socket.destroy();
    }
  });
}
