import type { Writable } from "node:stream";

/** Of one connection: a client in good order has two MiB of room for each of its channels. */
const MOST_UNREAD_BYTES = 32 * 1024 * 1024;

/**
 * Destroys a connection whose client lets too much wait, since ssh2 sends as much as the window allows that the client
 * names. Writes the three parts of an ssh2 packet by one system call.
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
