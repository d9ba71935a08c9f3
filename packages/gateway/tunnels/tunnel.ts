import type { Duplex } from "node:stream";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import { type Frame, frame as formatFrame, frameReader } from "#relay/frames.ts";
import { streamLine } from "#relay/multiplexer.ts";
import { limitPace } from "#relay/pace.ts";
import { corkTurn } from "../ssh/ssh-output.ts";
import { programStream } from "./program-stream.ts";
import { formatMessage, newCutOffError, parseAnswer, type StreamHooks, type TunnelStream } from "./tunnel-stream.ts";

/** Programs and connections of one run, over a connection from images/tools/tunnel. */
export interface Tunnel {
  open(request: PodSessionRequest): Promise<PodSession>;
  /** Connects to a port of the run's loopback. Rejects if nothing answers. */
  dial(port: number): Promise<Duplex>;
  isEnded(): boolean;
  readonly ended: Promise<void>;
  close(): void;
}

interface TunnelTimes {
  /** How long a tunnel lives without a stream. */
  readonly idleMs: number;
  /** How long the other side may take to open a stream. */
  readonly openWithinMs: number;
}

const tunnelTimes: TunnelTimes = { idleMs: 600_000, openWithinMs: 20_000 };

/** Exceeds the 750 streams that a run may have (../ports/stream-places.ts). */
const MOST_STREAMS = 1_000;
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;

/** Runs the gateway's side of a tunnel. Closes the connection when it is idle or sends invalid frames. */
export function tunnel(socket: Duplex, { idleMs, openWithinMs } = tunnelTimes): Tunnel {
  const streams = new Map<number, TunnelStream<unknown>>();
  const send = frameSender(socket);
  let lastId = 0;
  let idleTimer: NodeJS.Timeout | undefined;
  const noteUse = () => {
    clearTimeout(idleTimer);
    if (streams.size === 0) idleTimer = setTimeout(() => socket.destroy(), idleMs).unref();
  };
  const openStream = async <Opened>(
    request: object,
    createStream: (id: number, hooks: StreamHooks) => TunnelStream<Opened>,
  ): Promise<Opened> => {
    if (streams.size >= MOST_STREAMS) throw new Error("This environment has too many open connections");
    if (socket.destroyed) throw newCutOffError();
    lastId += 1;
    const id = lastId;
    const stream = createStream(id, { send, leave: () => void (streams.delete(id) && noteUse()) });
    streams.set(id, stream);
    noteUse();
    for (const bytes of [formatFrame("open", id), formatMessage(id, request)]) send(bytes);
    const timeout = setTimeout(() => {
      send(formatFrame("close", id));
      stream.cutOff();
    }, openWithinMs);
    return stream.opened.finally(() => clearTimeout(timeout));
  };
  readFrames(socket, (frame) => streams.get(frame.id)?.takeFrame(frame));
  const ended = new Promise<void>((resolve) => {
    socket.once("close", () => {
      clearTimeout(idleTimer);
      for (const stream of streams.values()) stream.cutOff();
      resolve();
    });
  });
  noteUse();
  return {
    open: ({ words, text, env, terminal }) =>
      openStream({ words: text === undefined ? words : [...words, text], env, terminal }, programStream),
    dial: (port) => openStream({ port }, portStream),
    isEnded: () => socket.destroyed,
    ended,
    close: () => void socket.destroy(),
  };
}

function portStream(id: number, { send, leave }: StreamHooks): TunnelStream<Duplex> {
  const opened = Promise.withResolvers<Duplex>();
  const { stream, take } = streamLine(id, send, leave);
  stream.once("close", () => opened.reject(new Error("Nothing answered on that port")));
  return {
    opened: opened.promise,
    takeFrame: (frame) => {
      if (frame.kind !== "message") take(frame);
      else if (parseAnswer(frame).isOpen) opened.resolve(stream);
    },
    cutOff: () => void stream.destroy(newCutOffError()),
  };
}

/** Encrypts and sends all frames of one turn of the event loop at once. */
function frameSender(socket: Duplex): (bytes: Buffer) => void {
  return (bytes) => {
    // Windows bound the waiting bytes, unless the other side stops reading.
    if (socket.writableLength > MOST_UNREAD_BYTES) return void socket.destroy();
    if (!socket.writable) return;
    corkTurn(socket);
    socket.write(bytes);
  };
}

/** Cost of a frame for the pace, because small frames also take time of the shared event loop. */
const FRAME_COST = 2 * 1024;

function readFrames(socket: Duplex, takeFrame: (frame: Frame) => void): void {
  const read = frameReader();
  const pace = limitPace(socket);
  socket.on("error", () => undefined);
  socket.once("end", () => socket.destroy());
  socket.on("data", (part: Buffer) => {
    try {
      const frames = read(part);
      for (const frame of frames) takeFrame(frame);
      pace(frames.length * FRAME_COST);
    } catch {
      socket.destroy();
    }
  });
}
