import type { Readable, Writable } from "node:stream";

/** Per connection. A well-behaved client has a window of two MiB per channel. */
const MOST_UNREAD_BYTES = 32 * 1024 * 1024;

/**
 * Destroys a connection with too much unsent output, because ssh2 buffers as much as the client's window allows. Sends
 * all packets of one turn of the event loop in one system call. ssh2 writes a packet in three parts, and one turn reads
 * up to 512 KiB of a pod's output in pieces of 16 KiB.
 */
export function boundOutput(socket: Writable): void {
  const write = socket.write.bind(socket) as (...writeArguments: unknown[]) => boolean;
  socket.write = (...writeArguments: unknown[]) => {
    if (socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    const isTaken = write(...writeArguments);
    if (socket.writableLength > MOST_UNREAD_BYTES) socket.destroy();
    return isTaken;
  };
}

/** Over all connections of a replica. Its pod may have 1 GiB of memory (deploy/kubernetes/gateway/deployment.yaml). */
export const MOST_HELD_BYTES = 256 * 1024 * 1024;

/** Counts what a connection holds in memory: output that its client has not read, and input that its run has not. */
export class HeldBytes<Output extends Writable = Writable> {
  readonly socket: Output;
  /** Returns the input that waits, in bytes. */
  countInput = (): number => 0;
  /** Returns the bytes of relays that wait in either direction. They grow without a call of `grow`. */
  countRelays = (): number => 0;
  readonly #listeners: (() => void)[] = [];

  constructor(socket: Output) {
    this.socket = socket;
    const write = socket.write.bind(socket) as (...writeArguments: unknown[]) => boolean;
    socket.write = (...writeArguments: unknown[]) => {
      const isTaken = write(...writeArguments);
      this.grow();
      return isTaken;
    };
  }

  count(): number {
    return this.socket.writableLength + this.countInput() + this.countRelays();
  }

  /** Tells all bounds that more bytes wait. */
  grow(): void {
    if (!this.socket.destroyed) for (const listener of this.#listeners) listener();
  }

  onGrowth(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

/**
 * Bounds the bytes that several connections hold together. Beyond `mostBytes` the connection with the most is destroyed.
 * The returned function adds a connection.
 */
export function boundTogether(mostBytes: number): (held: HeldBytes) => void {
  // Bytes that were taken since the last growth of their connection still count, until `cutLargest` counts all again.
  const counted = new Map<HeldBytes, number>();
  let sum = 0;
  const note = (held: HeldBytes, bytes: number) => {
    sum += bytes - (counted.get(held) ?? 0);
    counted.set(held, bytes);
  };
  const forget = (held: HeldBytes) => {
    sum -= counted.get(held) ?? 0;
    counted.delete(held);
  };
  const cutLargest = () => {
    for (const held of counted.keys()) note(held, held.count());
    const largestFirst = [...counted].toSorted(([, a], [, b]) => b - a);
    for (const [held] of largestFirst) {
      if (sum <= mostBytes) return;
      forget(held);
      held.socket.destroy();
    }
  };
  return (held) => {
    held.onGrowth(() => {
      note(held, held.count());
      if (sum > mostBytes) cutLargest();
    });
    held.socket.once("close", () => forget(held));
  };
}

/** Packets of ssh2 and of OpenSSH's client. */
const PACKET_BYTES = 32 * 1024;
const MOST_AT_ONCE_BYTES = 4 * PACKET_BYTES;

/**
 * Sends all output of one turn of the event loop together, because each packet has a fixed cost. Returns a function that
 * stops it.
 */
export function passOutput(from: Readable, to: Writable): () => void {
  let isWaiting = false;
  let isStopped = false;
  const pass = () => {
    while (!isStopped && !to.destroyed && !to.writableEnded) {
      const bytes = readAtOnce(from);
      if (bytes === null) break;
      if (!to.write(bytes)) return void to.once("drain", pass);
    }
    isWaiting = false;
  };
  from.on("readable", () => {
    if (isWaiting) return;
    isWaiting = true;
    setImmediate(pass);
  });
  return () => {
    isStopped = true;
    from.removeAllListeners("readable");
  };
}

/**
 * Returns the first part if it fills a packet, and otherwise several parts as one buffer. Returns null if there is no
 * output. Only such a read makes the stream emit `readable` again.
 */
function readAtOnce(from: Readable): Buffer | null {
  const parts: Buffer[] = [];
  let length = 0;
  while (length < MOST_AT_ONCE_BYTES) {
    const part = from.read() as Buffer | null;
    if (part === null) break;
    if (length === 0 && part.length >= PACKET_BYTES) return part;
    parts.push(part);
    length += part.length;
  }
  if (parts.length > 1) return Buffer.concat(parts, length);
  return parts[0] ?? null;
}
