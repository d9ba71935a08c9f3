import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { NoteFull } from "#gateway/ports/full-notes.ts";
import { boundShortStays } from "#gateway/ports/short-stays.ts";

export interface WebBounds {
  /** Connections without an open request. */
  readonly mostSilent: number;
  readonly mostConnections: number;
}

export const webBounds: WebBounds = { mostSilent: 1_000, mostConnections: 6_000 };

/**
 * Drops the oldest connection without a request beyond a bound, so that a flood of silent ones locks out no browser. Beyond
 * a bound of all connections, it drops new ones.
 */
export function boundConnections(
  server: Server,
  { headersMs, mostSilent, mostConnections }: WebBounds & { readonly headersMs: number },
  noteFull: NoteFull = () => undefined,
): void {
  server.maxConnections = mostConnections;
  server.on("drop", () => noteFull("web connections", mostConnections));
  const begin = boundShortStays(headersMs, mostSilent, () => noteFull("silent web connections", mostSilent));
  const connections = new WeakMap<Duplex, { requests: number; endSilence(): void }>();
  server.on("connection", (socket) => {
    const connection = { requests: 0, endSilence: begin(socket) };
    connections.set(socket, connection);
    socket.once("close", () => connection.endSilence());
  });
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    const connection = connections.get(socket);
    if (!connection) return;
    connection.endSilence();
    connection.requests += 1;
    response.once("close", () => {
      connection.requests -= 1;
      if (connection.requests === 0 && !socket.destroyed) connection.endSilence = begin(socket);
    });
  });
  server.on("upgrade", ({ socket }: IncomingMessage) => connections.get(socket)?.endSilence());
}
