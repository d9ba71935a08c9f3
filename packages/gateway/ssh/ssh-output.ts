import type { Writable } from "node:stream";

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
export const MOST_UNSENT_BYTES = 256 * 1024 * 1024;

/**
 * Bounds the unsent output of several connections together. Beyond `mostBytes` the connection with the most is destroyed.
 * The returned function adds a connection.
 */
export function boundTogether(mostBytes: number): (socket: Writable) => void {
  // Output that was sent since the last write of its connection still counts, until `cutLargest` counts all again.
  const unsent = new Map<Writable, number>();
  let sum = 0;
  const note = (socket: Writable, bytes: number) => {
    sum += bytes - (unsent.get(socket) ?? 0);
    unsent.set(socket, bytes);
  };
  const forget = (socket: Writable) => {
    sum -= unsent.get(socket) ?? 0;
    unsent.delete(socket);
  };
  const cutLargest = () => {
    for (const socket of unsent.keys()) note(socket, socket.writableLength);
    const largestFirst = [...unsent.keys()].toSorted((a, b) => b.writableLength - a.writableLength);
    for (const socket of largestFirst) {
      if (sum <= mostBytes) return;
      forget(socket);
      socket.destroy();
    }
  };
  return (socket) => {
    const write = socket.write.bind(socket) as (...writeArguments: unknown[]) => boolean;
    socket.write = (...writeArguments: unknown[]) => {
      const isTaken = write(...writeArguments);
      if (!socket.destroyed) note(socket, socket.writableLength);
      if (sum > mostBytes) cutLargest();
      return isTaken;
    };
    socket.once("close", () => forget(socket));
  };
}
