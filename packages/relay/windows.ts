import { frame, MOST_CONTENT_BYTES } from "./frames.ts";

/** Limit of unacknowledged bytes of a stream. */
export const WINDOW_BYTES = 128 * 1024;

type Send = (bytes: Buffer) => void;

/** Sends the data of a stream within its window. */
export function sender(id: number, send: Send) {
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

/** Acknowledging a quarter leaves the other side three quarters of its window. */
const ACKNOWLEDGED_BYTES = WINDOW_BYTES / 4;

/** Buffers data within the window until the stream reads it. `push` returns whether the stream wants more. */
export function receiver(id: number, send: Send, push: (part: Buffer | null) => boolean) {
  const waiting: (Buffer | null)[] = [];
  let waitingBytes = 0;
  let readBytes = 0;
  let wantsMore = false;
  let isEnded = false;
  const acknowledge = (bytes: number): void => {
    readBytes += bytes;
    if (readBytes < ACKNOWLEDGED_BYTES) return;
    const acknowledged = readBytes;
    readBytes = 0;
    send(frame("more", id, getLength(acknowledged)));
  };
  const pass = (): void => {
    while (wantsMore && waiting.length > 0) {
      const part = waiting.shift() ?? null;
      waitingBytes -= part?.length ?? 0;
      wantsMore = push(part);
      // Acknowledge after the push, because more data may arrive before `send` returns.
      if (part) acknowledge(part.length);
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

function getLength(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}
