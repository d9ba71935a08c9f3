import type { Duplex } from "node:stream";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import { type Frame, frame as formatFrame, frameReader } from "#relay/frames.ts";
import { streamLine } from "#relay/multiplexer.ts";
import { limitPace } from "#relay/pace.ts";
import { growthPlaces, ReceiveWindow, type TakeGrowth } from "#relay/receive-window.ts";
import { frameSender } from "./frame-sender.ts";
import { programStream } from "./program-stream.ts";
import { formatMessage, newCutOffError, parseAnswer, type StreamHooks, type TunnelStream } from "./tunnel-stream.ts";

/** Programs and connections of one run, over a connection from images/tools/tunnel. */
export interface Tunnel {
  open(request: PodSessionRequest): Promise<PodSession>;
  /** Connects to a port of the run's loopback. Rejects if nothing answers. */
  dial(port: number): Promise<Duplex>;
  /** Resolves once the other side speaks the protocol. Rejects if the connection ends before. */
  readonly ready: Promise<void>;
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

/** Bounds the grown windows of a replica, which add at most 48 MiB. */
const takeOfReplica = growthPlaces(64);

/** Bounds those of a tunnel, so that no run takes all. */
const MOST_OF_TUNNEL = 4;

/** Content of the hello of a program that accepts larger windows. An older one would end the tunnel. */
const ACCEPTS_GROWTH = "growth";

/** Runs the gateway's side of a tunnel. Closes the connection when it is idle or sends invalid frames. */
export function tunnel(socket: Duplex, { idleMs, openWithinMs } = tunnelTimes): Tunnel {
  const streams = new Map<number, TunnelStream<unknown>>();
  const { send, whenDrained } = frameSender(socket);
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => undefined);
  let takeGrowth: TakeGrowth | undefined;
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
    const leave = () => void (streams.delete(id) && noteUse());
    const stream = createStream(id, { send, whenDrained, leave, window: new ReceiveWindow(takeGrowth) });
    streams.set(id, stream);
    noteUse();
    for (const bytes of [formatFrame("open", id), formatMessage(id, request)]) send(bytes);
    const timeout = setTimeout(() => {
      send(formatFrame("close", id));
      stream.cutOff();
    }, openWithinMs);
    return stream.opened.finally(() => clearTimeout(timeout));
  };
  readFrames(socket, (frame) => {
    if (frame.kind === "hello") {
      if (frame.content.toString() === ACCEPTS_GROWTH) takeGrowth ??= growthPlaces(MOST_OF_TUNNEL, takeOfReplica);
      ready.resolve();
    }
    const stream = streams.get(frame.id);
    stream?.takeFrame(frame);
    return stream ? FRAME_COST : FRAME_COST + frame.content.length;
  });
  const ended = new Promise<void>((resolve) => {
    socket.once("close", () => {
      clearTimeout(idleTimer);
      for (const stream of streams.values()) stream.cutOff();
      ready.reject(newCutOffError());
      resolve();
    });
  });
  noteUse();
  return {
    open: ({ words, text, env, terminal }) =>
      openStream({ words: text === undefined ? words : [...words, text], env, terminal }, programStream),
    dial: (port) => openStream({ port }, portStream),
    ready: ready.promise,
    isEnded: () => socket.destroyed,
    ended,
    close: () => void socket.destroy(),
  };
}

function portStream(id: number, hooks: StreamHooks): TunnelStream<Duplex> {
  const opened = Promise.withResolvers<Duplex>();
  let isOpen = false;
  const { stream, take } = streamLine(id, hooks);
  stream.once("close", () => {
    opened.reject(new Error("Nothing answered on that port"));
    hooks.window.close();
  });
  return {
    opened: opened.promise,
    takeFrame: (frame) => {
      if (frame.kind !== "message") return take(frame);
      if (isOpen || !parseAnswer(frame).isOpen) throw new Error("A port opens once");
      isOpen = true;
      opened.resolve(stream);
    },
    cutOff: () => void stream.destroy(newCutOffError()),
  };
}

/** Cost of a frame for the pace, because small frames also take time of the shared event loop. */
const FRAME_COST = 2 * 1024;

/** Reads frames to their end. `takeFrame` returns the cost of a frame. */
function readFrames(socket: Duplex, takeFrame: (frame: Frame) => number): void {
  const read = frameReader();
  const pace = limitPace(socket);
  socket.on("error", () => socket.destroy());
  socket.once("end", () => socket.destroy());
  socket.on("data", (part: Buffer) => {
    try {
      let cost = 0;
      for (const frame of read(part)) cost += takeFrame(frame);
      // A part of a frame takes time too.
      pace(Math.max(cost, FRAME_COST));
    } catch {
      socket.destroy();
    }
  });
}
