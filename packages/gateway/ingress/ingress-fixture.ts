import { once } from "node:events";
import {
  type Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  request,
} from "node:http";
import type { AddressInfo } from "node:net";
import { createEnvironment, type NewEnvironment } from "#core/environments/verbs/create.ts";
import type { Table } from "#core/ports/table.ts";
import { apiKeyKey, environmentKey } from "#core/store/keys.ts";
import type { Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import { memoryIdentity } from "#tests/fakes/memory-identity.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newActor, newEnvironment } from "#tests/worlds/memory-world.ts";
import { NoTerminal } from "../ports/reach.ts";
import { type IngressOptions, type IngressTimes, startIngress } from "./ingress.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface AskOptions {
  /** Address of the server, by default 127.0.0.1. */
  readonly address?: string;
  /** Connections to the server. By default each request has its own. */
  readonly agent?: Agent;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
}

/** The ingress over real connections, the core on memory ports, and a page that a test serves for an environment. */
export interface IngressFixture {
  readonly world: MemoryWorld;
  /** The calls of the ingress to the table. */
  readonly reads: string[];
  readonly log: ReturnType<typeof recordingLog>;
  readonly port: number;
  /** Key of alice, who owns the page's environment. */
  readonly key: string;
  keyOf(owner: string, changes?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Makes an active environment whose first HTTP port is where the page is, or this port. */
  environment(
    label: string,
    more?: Partial<NewEnvironment> & { readonly at?: number | null; readonly hasLogin?: true },
  ): Promise<void>;
  /** Replaces the page's server. */
  serve(listener: RequestListener): void;
  readonly page: ReturnType<typeof createServer>;
  ask(host: string, options?: AskOptions): Promise<Answer>;
  close(): Promise<void>;
}

export async function openIngressFixture(
  times: Partial<IngressTimes> = {},
  ways: Pick<IngressOptions, "connect" | "isBoundToRun"> = {},
  reach: IngressOptions["reach"] = { openTerminal: () => Promise.reject(new NoTerminal("gone")) },
  spoil: (table: Table) => Table = (table) => table,
): Promise<IngressFixture> {
  const log = recordingLog();
  const world = await memoryWorld({ log, settings: { domain: "preview.localhost:8080", scheme: "http" } });
  const { clock, ids, settings, ...ports } = world.ctx;
  const deployment = { version, startedAt: clock.now(), isolation: "memory", limits: "memory" };
  const identity = memoryIdentity({ callers: [] });
  const reads: string[] = [];
  const table = countedPort("table", spoil(ports.table), reads);
  const runtime: Runtime = { ports: { ...ports, table, identity }, clock, ids, log, settings, deployment };
  const pages = startIngress(runtime, { times, reach, ...ways });
  const server = createServer((incoming, outgoing) => {
    if (!pages.answer(incoming, outgoing)) outgoing.writeHead(418).end("the API");
  });
  server.on("upgrade", (incoming, socket, head) => {
    if (!pages.upgrade(incoming, socket, head)) socket.end("HTTP/1.1 418 The API\r\nContent-Length: 0\r\n\r\n");
  });
  let listener: RequestListener = (_, outgoing) => outgoing.end("the page");
  const page = createServer((incoming, outgoing) => listener(incoming, outgoing));
  for (const entry of [server, page]) await once(entry.listen(0, "127.0.0.1"), "listening");
  const port = getPort(server);
  const keyOf = (owner: string, changes = {}) => newKey(world, owner, changes);
  return {
    world,
    reads,
    log,
    port,
    page,
    keyOf,
    key: await keyOf("alice"),
    environment: async (label, { at = getPort(page), hasLogin, ...more } = {}) => {
      await createEnvironment(world.as("alice"), {
        ...newEnvironment(label, { gpus: 1 }),
        addressLabel: label,
        ports: [{ port: 8080, kind: "http" }],
        ...more,
      });
      await world.deliver();
      const item = await world.table.get(environmentKey(newActor("alice").uid, "gpu-dev", label));
      const page = {
        port: 8080,
        kind: "http",
        address: at === null ? null : `127.0.0.1:${at}`,
        answers: true,
        hasLogin,
      };
      const ssh = { port: 22, kind: "ssh", address: "127.0.0.1:1", answers: true };
      const run = { ...(item?.run as object), ports: [ssh, page] };
      const served = item?.phase === "active" ? { ...item, run } : undefined;
      if (served) await world.table.put(served);
    },
    serve: (next) => {
      listener = next;
    },
    ask: (host, options = {}) => ask(port, host, options),
    close: async () => {
      pages.stop();
      for (const entry of [server, page]) {
        entry.close();
        entry.closeAllConnections();
      }
    },
  };
}

/** How a browser says a key. */
export function basic(key: string, user = "anybody"): string {
  return `Basic ${Buffer.from(`${user}:${key}`).toString("base64")}`;
}

export async function ask(port: number, host: string, { path = "/", body, ...more }: AskOptions): Promise<Answer> {
  const options = { host: more.address ?? "127.0.0.1", port, path, method: more.method ?? "GET" };
  const { agent = false } = more;
  const input = request({ ...options, agent, headers: { host, ...more.headers } }).end(body);
  const [answer] = (await once(input, "response")) as [IncomingMessage];
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    body: (await answer.setEncoding("utf8").toArray()).join(""),
  };
}

function getPort(server: ReturnType<typeof createServer>): number {
  return (server.address() as AddressInfo).port;
}

/** Writes a key of this user, and returns it. */
export async function newKey({ ctx, clock, table }: MemoryWorld, owner: string, changes: object = {}): Promise<string> {
  const key = ctx.ids.secret(64);
  const { uid, username, number } = newActor(owner);
  const ends = {
    expiresAt: clock.now() + 3_600_000,
    revokedAt: null,
    disabled: false,
    ttl: clock.now() / 1000 + 99_999,
  };
  const begins = { kind: "key", createdAt: clock.now(), loginAt: clock.now() };
  const item = { ...apiKeyKey(ctx.ids.hash(key)), writers: ["w1"], uid, username, number, prefix: key.slice(0, 8) };
  await table.put({ ...item, ...begins, ...ends, ...changes });
  return key;
}
