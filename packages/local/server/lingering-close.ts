import type { Socket } from "node:net";

/** For a client that goes on sending what nobody wants to read. */
const LINGER_MS = 30_000;

/**
 * Has a connection closed in turn, first the own end and then the client's: where bytes of the client are still unread,
 * closing both resets the connection, and the client may lose the answer that it was sent (RFC 9112 section 9.6).
 */
export function closeInTurn(socket: Socket): void {
  socket.destroySoon = () => {
    if (!socket.writable) return;
    socket.end();
    const late = setTimeout(() => socket.destroy(), LINGER_MS);
    late.unref();
    socket.once("close", () => clearTimeout(late));
    // Whoever has sent all closes when this end is closed; else this is read and forgotten.
    socket.resume();
  };
}
