import { type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Catalog } from "#http/catalog.ts";
import { type Admitted, handshakes } from "#http/handshake.ts";
import { refuseConnection } from "#http/request/connection-limit.ts";
import { toResponse } from "#http/request/plain-request.ts";
import type { Runtime } from "#http/runtime.ts";
import type { Channel, PollResult, SocketSession } from "#http/socket.ts";

export interface SocketTimes {
  readonly pingMs: number;
  readonly keyMs: number;
  readonly pollMs: number;
}

export interface Sockets {
  count(): number;
  stop(): void;
}

interface SocketSurroundings {
  plain(request: Request): Response | Promise<Response>;
  isTaken?(incoming: IncomingMessage, socket: Duplex, head: Buffer): boolean;
}

interface Connection {
  readonly ws: WebSocket;
  readonly admitted: Admitted;
  readonly session: SocketSession;
  isAlive: boolean;
  pending: number;
}

const times: SocketTimes = { pingMs: 30_000, keyMs: 1_000, pollMs: 2_000 };
const frameBytes = 1024 * 1024;
/** A client that does not read its frames is disconnected. */
const mostBufferedBytes = 8 * 1024 * 1024;
const mostPending = 32;

export function serveSockets(
  server: Server,
  runtime: Runtime,
  entries: Catalog["sockets"],
  { plain, isTaken = () => false, pingMs, keyMs, pollMs }: Partial<SocketTimes> & SocketSurroundings,
): Sockets {
  const authorize = handshakes(
    runtime,
    entries.map(({ declaration }) => declaration),
  );
  const wss = new WebSocketServer({ noServer: true, maxPayload: frameBytes, clientTracking: false });
  const connections = new Set<Connection>();
  const count = connectionCounts();
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (isTaken(incoming, socket, head)) return;
    socket.on("error", () => socket.destroy());
    void (async () => {
      const request = buildRequest(incoming);
      const verdict = await authorize(request, ({ actor }) => count(actor.uid, socket));
      if (!verdict) return answer(incoming.socket, await plain(request));
      if ("status" in verdict) return answer(incoming.socket, toResponse(verdict));
      wss.handleUpgrade(incoming, socket, head, (ws) => serve(connections, ws, verdict));
    })().catch(() => socket.destroy());
  });
  const timers = [
    setInterval(() => ping(connections), pingMs ?? times.pingMs),
    setInterval(() => void dismissStrangers(connections).catch(() => undefined), keyMs ?? times.keyMs),
    setInterval(() => void pollAll(connections), pollMs ?? times.pollMs),
  ];
  return {
    count: () => connections.size,
    stop: () => {
      for (const timer of timers) clearInterval(timer);
      for (const { ws } of connections) {
        ws.close(1001, "The server is stopping");
        setTimeout(() => ws.terminate(), 200).unref();
      }
    },
  };
}

function serve(connections: Set<Connection>, ws: WebSocket, admitted: Admitted): void {
  const channel: Channel = {
    send: (frame) => {
      if (ws.readyState !== ws.OPEN) return;
      if (ws.bufferedAmount <= mostBufferedBytes) return ws.send(JSON.stringify(frame));
      ws.terminate();
      // End the session now: waiting frames would run before the close event.
      connection.session.end();
    },
    close: ({ code, reason }) => ws.close(code, reason),
  };
  const connection: Connection = { ws, admitted, session: admitted.open(channel), isAlive: true, pending: 0 };
  connections.add(connection);
  ws.on("error", () => undefined);
  ws.on("pong", () => {
    connection.isAlive = true;
  });
  ws.on("message", (data, isBinary) => void take(connection, isBinary ? "" : String(data)));
  ws.once("close", () => {
    connections.delete(connection);
    connection.session.end();
  });
}

async function take(connection: Connection, text: string): Promise<void> {
  const { ws, admitted, session } = connection;
  connection.pending += 1;
  if (connection.pending >= mostPending) ws.pause();
  try {
    if (await admitted.isStillAdmitted()) await session.receive(text);
    else dismiss(ws);
  } catch {
    ws.close(1011, "Internal server error");
  }
  connection.pending -= 1;
  if (connection.pending < mostPending && ws.isPaused) ws.resume();
}

function ping(connections: ReadonlySet<Connection>): void {
  for (const connection of connections) {
    const { ws } = connection;
    if (!connection.isAlive && !ws.isPaused) {
      ws.terminate();
      continue;
    }
    connection.isAlive = false;
    if (ws.readyState === ws.OPEN) ws.ping();
  }
}

/** Checks one after another: the first check of a key caches the result for the others. */
async function dismissStrangers(connections: ReadonlySet<Connection>): Promise<void> {
  for (const { ws, admitted } of connections) {
    if (!(await admitted.isStillAdmitted())) dismiss(ws);
  }
}

function dismiss(ws: WebSocket): void {
  ws.close(1008, "The key is not valid any more");
}

async function pollAll(connections: ReadonlySet<Connection>): Promise<void> {
  const polls = new Map<string, Promise<PollResult | undefined>>();
  for (const { ws, session } of connections) {
    const overdue = session.overdue();
    if (overdue) ws.close(overdue.code, overdue.reason);
    const polled = polls.get(session.about) ?? session.poll().catch(() => undefined);
    polls.set(session.about, polled);
    void polled.then((found) => found && session.show(found));
  }
  await Promise.all(polls.values());
}

function buildRequest({ url = "/", headers }: IncomingMessage): Request {
  const sent = Object.entries(headers).flatMap(([name, value]) => {
    return [value ?? []].flat().map((header): [string, string] => [name, header]);
  });
  return new Request(`http://localhost${url.startsWith("/") ? url : "/"}`, { headers: new Headers(sent) });
}

async function answer(socket: Socket, response: Response): Promise<void> {
  const body = Buffer.from(await response.arrayBuffer());
  const headers = { ...Object.fromEntries(response.headers), "content-length": body.length, connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const status = `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? "Unknown"}\r\n`;
  socket.write(Buffer.concat([Buffer.from(`${status}${lines.join("")}\r\n`, "latin1"), body]));
  // destroySoon drains the rest of the request, which would otherwise keep the connection open.
  socket.destroySoon();
}

/** Returns a function that counts a user's open connections. It throws a Problem if there are too many. */
function connectionCounts(): (uid: string, socket: Duplex) => void {
  const counts = new Map<string, number>();
  return (uid, socket) => {
    const open = counts.get(uid) ?? 0;
    refuseConnection(open);
    // The client hung up during the check, so no close event would decrement the count.
    if (socket.closed) return;
    counts.set(uid, open + 1);
    socket.once("close", () => {
      const left = (counts.get(uid) ?? 1) - 1;
      if (left > 0) counts.set(uid, left);
      else counts.delete(uid);
    });
  };
}
