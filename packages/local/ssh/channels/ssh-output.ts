import type { Writable } from "node:stream";

/** Per connection. A well-behaved client has a window of two MiB per channel. */
const MOST_UNREAD_BYTES = 32 * 1024 * 1024;

/**
 * Destroys a connection with too much unsent output, because ssh2 buffers as much as the client's window allows. It sends
 * the three parts of an ssh2 packet in one system call.
 */
export function boundOutput(socket: Writable): void {
  const write = socket.write.bind(socket) as (...writeArguments: unknown[]) => boolean;
  socket.write = (...writeArguments: unknown[]) => {
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    const isTaken = write(...writeArguments);
    if (socket.writableLength > MOST_UNREAD_BYTES) socket.destroy();
    return isTaken;
  };
}
