import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket } from "ws";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { buildApp } from "#http/app.ts";
import { loadCatalog } from "#http/catalog.ts";
import type { Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import { memoryIdentity } from "#tests/fakes/memory-identity.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import {
  type MemoryWorld,
  memoryWorld,
  newActor,
  newEnvironment,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { type Sockets, type SocketTimes, serveSockets } from "./sockets.ts";

/** The web shell over real connections and the core on memory ports. */
export interface SocketFixture {
  readonly world: MemoryWorld;
  readonly sockets: Sockets;
  readonly log: ReturnType<typeof recordingLog>;
  /** Makes a workspace; it is active once messages are delivered. */
  workspace(owner: string, id: string): Promise<void>;
  /** Writes a key of this user. */
  key(owner: string, changes?: Readonly<Record<string, unknown>>): Promise<string>;
  /** A request with these headers, and an upgrade if it is asked for. */
  ask(path: string, headers?: Readonly<Record<string, string>>): Promise<{ status: number; body: string }>;
  connect(path: string, headers?: Readonly<Record<string, string>>): Client;
  close(): Promise<void>;
}

/** A client that keeps received frames. */
export interface Client {
  readonly ws: WebSocket;
  send(frame: object | string): void;
  /** The next frame that was not taken yet. */
  next(): Promise<Readonly<Record<string, unknown>>>;
  /** The code it was closed with. */
  readonly closed: Promise<number>;
}

export const upgrade = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

export async function openSocketFixture(
  times: Partial<SocketTimes> = {},
  options: WorldOptions = {},
): Promise<SocketFixture> {
  const log = recordingLog();
  const world = await memoryWorld({ ...options, log });
  const { clock, ids, settings, ...ports } = world.ctx;
  const deployment = { version, startedAt: clock.now(), isolation: "memory", limits: "memory" };
  const identity = memoryIdentity({ callers: [] });
  const runtime: Runtime = { ports: { ...ports, identity }, clock, ids, log, settings, deployment };
  const { endpoints, sockets: entries } = await loadCatalog();
  const app = buildApp(
    runtime,
    endpoints.map(({ declaration }) => declaration),
  );
  const server = createServer((_, response) => response.writeHead(500).end());
  const sockets = serveSockets(server, runtime, entries, { ...times, plain: (request) => app.fetch(request) });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    world,
    sockets,
    log,
    workspace: async (owner, id) => {
      const ctx = { ...world.as(owner), dialect: "onmemos", noun: "workspace" };
      await createEnvironment(ctx, newEnvironment(id, { gpus: 1 }));
    },
    key: async (owner, changes = {}) => {
      const key = ids.secret(64);
      const { uid, username, number } = newActor(owner);
      const ends = {
        expiresAt: clock.now() + 3_600_000,
        revokedAt: null,
        disabled: false,
        ttl: clock.now() / 1000 + 99_999,
      };
      const begins = { kind: "key", createdAt: clock.now(), loginAt: clock.now() };
      const item = { ...apiKeyKey(ids.hash(key)), writers: ["w1"], uid, username, number, prefix: key.slice(0, 8) };
      await world.table.put({ ...item, ...begins, ...ends, ...changes });
      return key;
    },
    ask: async (path, headers = upgrade) => {
      const input = request(`http://${origin}${path}`, { headers }).end();
      const opened = once(input, "upgrade").then(([, socket]) => {
        socket.destroy();
        throw new Error("The server opened a WebSocket");
      });
      opened.catch(() => undefined);
      const [response] = (await Promise.race([once(input, "response"), opened])) as [IncomingMessage];
      return { status: response.statusCode ?? 0, body: (await response.toArray()).join("") };
    },
    connect: (path, headers = {}) => createClient(new WebSocket(`ws://${origin}${path}`, { headers })),
    close: async () => {
      sockets.stop();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Frames wait until a test reads them. */
export function createClient(ws: WebSocket): Client {
  const frames: Readonly<Record<string, unknown>>[] = [];
  const waiting: ((frame: Readonly<Record<string, unknown>>) => void)[] = [];
  ws.on("message", (data) => {
    const frame = JSON.parse(String(data)) as Readonly<Record<string, unknown>>;
    const first = waiting.shift();
    if (first) first(frame);
    else frames.push(frame);
  });
  ws.on("error", () => undefined);
  return {
    ws,
    send: (frame) => ws.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
    next: () => {
      const frame = frames.shift();
      return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve));
    },
    closed: new Promise((resolve) => ws.once("close", resolve)),
  };
}
