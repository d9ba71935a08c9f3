import { frame, MOST_CONTENT_BYTES } from "./frames.ts";
import { ReceiveWindow, WINDOW_BYTES } from "./receive-window.ts";

type Send = (bytes: Buffer) => void;

/** Calls back once the pipe accepts more bytes. */
export type WhenDrained = (callback: () => void) => void;

/** Sends the data of a stream within its window. */
export function sender(id: number, send: Send, whenDrained: WhenDrained = (callback) => callback()) {
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
    whenDrained(done);
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

/** Readers get small parts together, as one part of at most this many bytes. */
const READ_BYTES = 32 * 1024;
/** Each part takes about 200 B of memory beside its bytes. */
const MOST_WAITING_PARTS = 64;

/**
 * Buffers data within the window until the stream reads it. `push` returns whether the stream wants more. Receivers may
 * share a window.
 */
export function receiver(id: number, send: Send, push: (part: Buffer | null) => boolean, window = new ReceiveWindow()) {
  let waiting: Buffer[] = [];
  let wantsMore = false;
  let isEnded = false;
  let hasPassedEnd = false;
  const acknowledge = (bytes: number): void => {
    const allowed = window.acknowledge(bytes);
    if (allowed > 0) send(frame("more", id, formatLength(allowed)));
  };
  const pass = (): void => {
    while (wantsMore && waiting.length > 0) {
      const part = mergeFirst(waiting);
      window.heldBytes -= part.length;
      wantsMore = push(part);
      // Acknowledge after the push, because more data may arrive before `send` returns.
      acknowledge(part.length);
    }
    if (!wantsMore || !isEnded || hasPassedEnd || waiting.length > 0) return;
    hasPassedEnd = true;
    push(null);
  };
  return {
    read: () => {
      wantsMore = true;
      pass();
    },
    take: (part: Buffer | null) => {
      window.heldBytes += part?.length ?? 0;
      if (isEnded || window.heldBytes > window.limitBytes) throw new Error("More data than the window allows");
      // No correct peer sends empty parts, and any number of them would fit into the window.
      if (part?.length === 0) throw new Error("Empty data frame");
      if (part) waiting.push(part);
      else isEnded = true;
      if (waiting.length > MOST_WAITING_PARTS) waiting = [Buffer.concat(waiting)];
      pass();
    },
    hasEnded: () => isEnded,
    heldBytes: () => window.heldBytes,
  };
}

/** Removes the first parts, up to `READ_BYTES` of them, and returns them as one. */
function mergeFirst(parts: Buffer[]): Buffer {
  let [count, length] = [1, parts[0]?.length ?? 0];
  for (const { length: next } of parts.slice(1)) {
    if (length + next > READ_BYTES) break;
    count += 1;
    length += next;
  }
  const first = parts.splice(0, count);
  return first.length === 1 && first[0] ? first[0] : Buffer.concat(first, length);
}

function formatLength(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}
