import type { Socket } from "node:net";

/** Patience with a client that keeps sending unwanted bytes. */
const LINGER_MS = 30_000;

/**
 * Closes a connection in two steps, first our end and then the client's. Closing both while bytes are unread resets
 * the connection, and the client may lose its answer (RFC 9112 section 9.6).
 */
export function closeInTurn(socket: Socket): void {
  socket.destroySoon = () => {
    if (!socket.writable) return;
    socket.end();
    const late = setTimeout(() => socket.destroy(), LINGER_MS);
    late.unref();
    socket.once("close", () => clearTimeout(late));
    // Drain the input until the client closes its end.
    socket.resume();
  };
}
