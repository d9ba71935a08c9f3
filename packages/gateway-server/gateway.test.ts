import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import ssh2, { type Client } from "ssh2";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import type { Stored, Table } from "#core/ports/table.ts";
import { ticketKey } from "#core/store/keys.ts";
import { HOUR_MS } from "#core/units.ts";
import { ask, type IngressFixture, openIngressFixture } from "#gateway/ingress/ingress-fixture.ts";
import { connectLocally } from "#gateway/ingress/page-connection.ts";
import type { SshDirectory } from "#gateway/ports/directory.ts";
import { NoTerminal, type Reach } from "#gateway/ports/reach.ts";
import { echo } from "#gateway/ssh/echo-fixture.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { exec, said } from "#gateway/ssh/ssh-fixture.ts";
import { connectTerminal } from "#gateway/terminal/terminal-client-fixture.ts";
import { keyCheck } from "#http/keys/key-check.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { type Gateway, type GatewayOptions, startGateway } from "./gateway.ts";

const page = "box.preview.localhost";
const [key, hostKey] = [newSshKey(), newSshKey().private];
let fixture: IngressFixture;
let bearer: { authorization: string };
let options: GatewayOptions;
let gateway: Gateway;
const clients = new Set<Client>();

const directory: SshDirectory = {
  find: async () => [{ name: "run", keys: [key.public] }],
  admits: async () => true,
  findEnded: async () => undefined,
  findNotice: async () => undefined,
  hasNoDisk: async () => false,
};
const start = async (changes: Partial<GatewayOptions> = {}) => startGateway({ ...options, ...changes });

beforeEach(async () => {
  fixture = await openIngressFixture();
  await fixture.environment("box");
  bearer = { authorization: `Bearer ${fixture.key}` };
  const { table, clock, ids, settings, log } = fixture.world.ctx;
  const deployment = { version: "1", startedAt: 0, isolation: "memory", limits: "memory" };
  options = {
    runtime: { ports: { table }, clock, ids, log, settings, deployment },
    directory,
    reach: { start: echo } as Partial<Reach> as Reach,
    connect: connectLocally,
    hostKey,
    sshPort: 0,
    webPort: 0,
    isAllowed: () => true,
  };
  gateway = await start();
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients.clear();
  await gateway.stop();
  await fixture.close();
});

const logIn = async (): Promise<Client> => {
  const client = new ssh2.Client();
  clients.add(client);
  const place = { host: "127.0.0.1", port: gateway.sshPort, username: "one", readyTimeout: 2 * PATIENCE_MS };
  const ready = once(client, "ready");
  client.connect({ ...place, privateKey: key.private });
  await ready;
  return client.on("error", () => undefined);
};
const get = (host: string, path: string) => ask(gateway.webPort, host, { path, headers: bearer });
const openWebSocket = () => {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.webPort}/`, { headers: { host: page, ...bearer } });
  return socket.on("error", () => undefined);
};
const refusal = (socket: WebSocket) =>
  new Promise((resolve) => socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode)));

it("serves pages at their hosts, and its own health at any other host", async () => {
  const answers = [
    await get(page, "/readyz"),
    await get("10.0.0.7:8080", "/readyz"),
    await get("10.0.0.7", "/healthz"),
  ];
  const others = [await get("10.0.0.7", "/"), await get("preview.localhost", "/readyz/x")];

  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [200, "the page"],
    [200, "ready\n"],
    [200, "alive\n"],
  ]);
  expect(others.map(({ status }) => status)).toEqual([404, 404]);
});

it("names IPv4 clients by their IPv4 address, although it listens on IPv6 too", async () => {
  fixture.serve((incoming, outgoing) => outgoing.end(incoming.headers["x-forwarded-for"]));

  expect((await get(page, "/")).body).toBe("127.0.0.1");
});

it("writes nothing for a page, not even when the key was last used, which the API notes", async () => {
  await gateway.stop();
  const calls: string[] = [];
  const table = countedPort("table", fixture.world.ctx.table, calls);
  gateway = await start({ runtime: { ...options.runtime, ports: { table } } });
  const { clock } = fixture.world;
  const longLived = await fixture.keyOf("alice", { expiresAt: clock.now() + 2 * HOUR_MS });
  const headers = { authorization: `Bearer ${longLived}` };
  clock.advance(HOUR_MS + 1);
  const { status } = await ask(gateway.webPort, page, { headers });

  const ofGateway = calls.splice(0);
  const checkKey = keyCheck({ ...options.runtime, table });
  await checkKey(new Headers(headers));

  expect(status).toBe(200);
  expect([...new Set(ofGateway)].toSorted()).toEqual(["table.get"]);
  expect(calls).toEqual(["table.get", "table.put"]);
});

it("writes nothing for a web terminal, except that its ticket is used", async () => {
  await gateway.stop();
  const puts: Stored[] = [];
  const { table, ids } = fixture.world.ctx;
  const put: Table["put"] = async (item, condition) => {
    puts.push(item);
    await table.put(item, condition);
  };
  const openTerminal = () => Promise.reject(new NoTerminal("gone"));
  const reach = { openTerminal } as Partial<Reach> as Reach;
  gateway = await start({ reach, runtime: { ...options.runtime, ports: { table: { ...table, put } } } });
  const { clock } = fixture.world;
  const keyHash = ids.hash(await fixture.keyOf("alice", { expiresAt: clock.now() + 2 * HOUR_MS }));
  clock.advance(HOUR_MS + 1);
  const user = fixture.world.as("alice");
  const caller = { ...user, actor: { ...user.actor, keyHash } };
  const issued = await issueTerminalTicket(caller, "box", { terminal: undefined, origin: null }, ({ phase }) => phase);
  const url = `ws://${page}:${gateway.webPort}/.berth/terminal`;

  const client = await connectTerminal({ url, ticket: issued.ticket, terminal_id: issued.terminal });
  const [code] = await client.closed;

  expect(code).toBe(4404);
  expect(puts).toMatchObject([{ ...ticketKey(ids.hash(issued.ticket)), isUsed: true }]);
});

it("a full replica refuses sessions and pages with a reason, and logs it", async () => {
  await gateway.stop();
  gateway = await start({ streams: { all: 1, run: 2, visitors: 1 } });
  const client = await logIn();
  const session = await exec(client, "cat");

  const refused = await said(await exec(client, "cat"), "");
  const answer = await get(page, "/");
  const open = await said(session, "still here");

  expect(refused.err).toContain("The gateway has too many open connections: try again in a moment");
  expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "5"]);
  expect(open.out).toBe("still here");
  await expect.poll(async () => (await get(page, "/")).status).toBe(200);
  const full = fixture.log.lines.filter(({ event }) => event === "gateway full");
  expect(full).toMatchObject([{ level: "warn", fields: { bound: "streams", most: 1 } }]);
});

it("drains SSH: it refuses new connections, and open ones start programs until they end", async () => {
  const client = await logIn();
  const drained = gateway.drain();

  const [error] = await once(connect(gateway.sshPort, "127.0.0.1"), "error");
  const ready = await get("10.0.0.7", "/readyz");
  const later = await said(await exec(client, "cat"), "still here");

  expect(error).toMatchObject({ code: "ECONNREFUSED" });
  expect([ready.status, ready.body]).toEqual([503, "draining\n"]);
  expect((await get("10.0.0.7", "/healthz")).status).toBe(200);
  expect(later).toMatchObject({ code: 0, out: "still here" });
  client.end();
  await drained;
});

it("drains pages: it refuses new WebSockets, and open ones and requests go on until they end", async () => {
  new WebSocketServer({ server: fixture.page }).on("connection", (socket) => {
    socket.on("message", (message) => socket.send(String(message)));
  });
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<ServerResponse>();
  fixture.serve((_, outgoing) => onAsked(outgoing));
  const open = openWebSocket();
  await once(open, "open");
  const slow = get(page, "/slow");
  const answer = await asked;
  fixture.serve((_, outgoing) => outgoing.end("the page"));

  let isDrained = false;
  const drained = gateway.drain().then(() => {
    isDrained = true;
  });
  const refused = await refusal(openWebSocket());
  const quick = await get(page, "/");
  open.send("hello");
  const [echoed] = await once(open, "message");
  answer.end("late");
  const late = await slow;

  expect([refused, String(echoed), late.body, quick.body]).toEqual([503, "hello", "late", "the page"]);
  expect(quick.headers.connection).toBe("close");
  expect(isDrained).toBe(false);
  open.close();
  await drained;
});

it("drains at once if nothing is open", async () => {
  await get(page, "/");

  await gateway.drain();

  expect((await get("10.0.0.7", "/readyz")).status).toBe(503);
});

it("answers clients of other networks nothing by SSH and 403 for pages, and still answers probes", async () => {
  await gateway.stop();
  const seen: string[] = [];
  gateway = await start({ isAllowed: (address) => seen.push(address) < 0 });

  const socket = connect(gateway.sshPort, "127.0.0.1").on("error", () => undefined);
  const answers = [await get(page, "/"), await get("10.0.0.7", "/readyz")];

  expect(await text(socket)).toBe("");
  expect(answers.map(({ status }) => status)).toEqual([403, 200]);
  expect(await refusal(openWebSocket())).toBe(403);
  expect(new Set(seen)).toEqual(new Set(["::ffff:127.0.0.1"]));
});

it.each(["sshPort", "webPort"] as const)("opens no port if its %s is in use, and says so", async (name) => {
  const port = gateway[name];
  const free = createServer();
  await once(free.listen(0), "listening");
  const other = (free.address() as AddressInfo).port;
  await new Promise((resolve) => free.close(resolve));

  const failed = start({ sshPort: other, webPort: other, [name]: port });

  const setting = name === "sshPort" ? "SSH_PORT" : "PORT";
  await expect(failed).rejects.toThrow(`Port ${port} is in use: set ${setting} to another port`);
  const [error] = await once(connect(other, "127.0.0.1"), "error");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});
