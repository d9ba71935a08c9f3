import { Duplex } from "node:stream";
import { type Frame, frame, frameReader } from "./frames.ts";
import type { ReceiveWindow } from "./receive-window.ts";
import { receiver, sender, type WhenDrained } from "./windows.ts";

/** Streams over one pipe with a window each (as in RFC 4254, 5.2), so that a slow stream delays no other. */
interface Multiplexer {
  /** Returns the cost of a chunk in bytes; opening a stream costs most. Throws for invalid frames. */
  take(part: Buffer): number;
  /** Undefined if too many are open. */
  open(): Duplex | undefined;
  /** Counts what this side holds: received bytes that its streams have not read, and bytes that wait for a window. */
  heldBytes(): number;
  close(): void;
}

interface MultiplexerOptions {
  send(bytes: Buffer): void;
  onHello?(address: string): void;
  /** If undefined, the other side may open none. */
  onOpen?(stream: Duplex): void;
}

export const MOST_STREAMS = 128;
const [FRAME_COST, OPEN_COST] = [32 * 1024, 256 * 1024];

export interface Line {
  readonly stream: Duplex;
  take(frame: Frame): void;
  heldBytes(): number;
}

export function multiplexer({ send, onHello, onOpen }: MultiplexerOptions): Multiplexer {
  const lines = new Map<number, Line>();
  const read = frameReader();
  let lastId = 0;
  const add = (id: number): Duplex => {
    const line = streamLine(id, { send, leave: () => void lines.delete(id) });
    lines.set(id, line);
    return line.stream;
  };
  const begin = (id: number): void => {
    if (!onOpen || lines.has(id) || lines.size >= MOST_STREAMS)
      throw new Error("This side may not open another stream");
    onOpen(add(id));
  };
  const take = (frame: Frame): number => {
    if (frame.kind === "hello") onHello?.(frame.content.toString());
    else if (frame.kind === "open") begin(frame.id);
    else lines.get(frame.id)?.take(frame);
    return frame.kind === "open" ? OPEN_COST : FRAME_COST + frame.content.length;
  };
  return {
    take: (part) => read(part).reduce((cost, frame) => cost + take(frame), 0),
    open() {
      if (lines.size >= MOST_STREAMS) return undefined;
      lastId += 1;
      send(frame("open", lastId));
      return add(lastId);
    },
    heldBytes: () => [...lines.values()].reduce((sum, line) => sum + line.heldBytes(), 0),
    close() {
      for (const { stream } of lines.values()) stream.destroy();
    },
  };
}

interface LineOptions {
  readonly send: (bytes: Buffer) => void;
  /** Runs at the end of the stream. */
  readonly leave: () => void;
  readonly whenDrained?: WhenDrained;
  readonly window?: ReceiveWindow;
}

/** Returns a stream for one number, which takes the frames for it. */
export function streamLine(id: number, { send, leave, whenDrained, window }: LineOptions): Line {
  const sending = sender(id, send, whenDrained);
  const receiving = receiver(id, send, (part) => stream.push(part), window);
  const stream = new Duplex({
    // Parts wait in the receiver, which counts them.
    readableHighWaterMark: 1,
    read: receiving.read,
    write: (data: Buffer, _, done) => sending.write(data, done),
    final: (done) => done(void sending.end()),
    destroy(error, done) {
      leave();
      // After both sides have ended, the other side may still have data to read, so do not close its stream.
      if (!sending.hasEnded() || !receiving.hasEnded()) send(frame("close", id));
      done(error);
    },
  });
  stream.on("error", () => undefined);
  const take = ({ kind, content }: Frame): void => {
    if (kind === "data") receiving.take(content);
    if (kind === "end") receiving.take(null);
    if (kind === "more") sending.allow(content.readUInt32BE(0));
    if (kind === "close") stream.destroy();
  };
  return { stream, take, heldBytes: () => receiving.heldBytes() + stream.readableLength + stream.writableLength };
}
