import { Duplex } from "node:stream";

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
export const WINDOW_BYTES = 128 * 1024;
const [FRAME_COST, OPEN_COST] = [32 * 1024, 256 * 1024];

interface Line {
  readonly stream: Duplex;
  take(frame: Frame): void;
  heldBytes(): number;
}

export function multiplexer({ send, onHello, onOpen }: MultiplexerOptions): Multiplexer {
  const lines = new Map<number, Line>();
  const read = frameReader();
  let lastId = 0;
  const add = (id: number): Duplex => {
    const line = getLine(id, send, () => lines.delete(id));
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

function getLine(id: number, send: (bytes: Buffer) => void, leave: () => void): Line {
  const sending = sender(id, send);
  const receiving = receiver(id, send, (part) => stream.push(part));
  const stream = new Duplex({
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

function sender(id: number, send: (bytes: Buffer) => void) {
  let mayStillSend = WINDOW_BYTES;
  let waiting: { rest: Buffer; readonly done: () => void } | undefined;
  let isEnded = false;
  const flush = (): void => {
    while (waiting && waiting.rest.length > 0 && mayStillSend > 0) {
      const part = waiting.rest.subarray(0, Math.min(mayStillSend, MOST_CONTENT_BYTES));
      waiting.rest = waiting.rest.subarray(part.length);
      mayStillSend -= part.length;
      send(frame("data", id, part));
    }
    if (!waiting || waiting.rest.length > 0) return;
    const { done } = waiting;
    waiting = undefined;
    done();
  };
  return {
    write: (rest: Buffer, done: () => void) => {
      waiting = { rest, done };
      flush();
    },
    allow: (bytes: number) => {
      mayStillSend += bytes;
      if (mayStillSend > WINDOW_BYTES) throw new Error("More data than the window allows");
      flush();
    },
    end: () => {
      isEnded = true;
      send(frame("end", id));
    },
    hasEnded: () => isEnded,
  };
}

/** Buffers data within the window until the stream reads it. `push` returns whether the stream wants more. */
function receiver(id: number, send: (bytes: Buffer) => void, push: (part: Buffer | null) => boolean) {
  const waiting: (Buffer | null)[] = [];
  let waitingBytes = 0;
  let wantsMore = false;
  let isEnded = false;
  const pass = (): void => {
    while (wantsMore && waiting.length > 0) {
      const part = waiting.shift() ?? null;
      waitingBytes -= part?.length ?? 0;
      wantsMore = push(part);
      // Acknowledge after the push, because more data may arrive before `send` returns.
      if (part) send(frame("more", id, getLength(part)));
    }
  };
  return {
    read: () => {
      wantsMore = true;
      pass();
    },
    take: (part: Buffer | null) => {
      waitingBytes += part?.length ?? 0;
      if (isEnded || waitingBytes > WINDOW_BYTES) throw new Error("More data than the window allows");
      // No correct peer sends empty parts, and any number of them would fit into the window.
      if (part?.length === 0) throw new Error("Empty data frame");
      isEnded ||= part === null;
      waiting.push(part);
      pass();
    },
    hasEnded: () => isEnded,
    heldBytes: () => waitingBytes,
  };
}

function getLength({ length }: Buffer): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

interface Frame {
  readonly kind: (typeof kinds)[number];
  /** 0 in a hello. */
  readonly id: number;
  readonly content: Buffer;
}

/** `hello` means that the relay listens or is connected. `more` acknowledges bytes and allows as many again. */
const kinds = ["hello", "open", "data", "more", "end", "close"] as const;
const HEAD_BYTES = 9;
const MOST_CONTENT_BYTES = 64 * 1024;

export function frame(kind: Frame["kind"], id: number, content: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(content.length, 0);
  head.writeUInt8(kinds.indexOf(kind), 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, content]);
}

/** Returns the complete frames of each chunk. Throws for invalid frames. */
function frameReader(): (part: Buffer) => Frame[] {
  let waiting = Buffer.alloc(0);
  return (part) => {
    waiting = Buffer.concat([waiting, part]);
    const found: Frame[] = [];
    while (waiting.length >= HEAD_BYTES) {
      const length = waiting.readUInt32BE(0);
      const kind = kinds[waiting.readUInt8(4)];
      if (length > MOST_CONTENT_BYTES || !kind) throw new Error("Not a frame");
      if (waiting.length < HEAD_BYTES + length) break;
      found.push({ kind, id: waiting.readUInt32BE(5), content: waiting.subarray(HEAD_BYTES, HEAD_BYTES + length) });
      waiting = waiting.subarray(HEAD_BYTES + length);
    }
    return found;
  };
}
