import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ask, type IngressFixture, openIngressFixture } from "#gateway/ingress/ingress-fixture.ts";
import { connectLocally } from "#gateway/ingress/page-connection.ts";
import { NoTerminal } from "#gateway/ports/reach.ts";
import { createWebServer, startWeb, type WebOptions, type WebServer } from "./web-server.ts";

let fixture: IngressFixture;
let web: WebServer;
let full: string[];
let startBounded: (times: NonNullable<WebOptions["times"]>) => Promise<WebServer>;
const sockets = new Set<Socket>();

beforeEach(async () => {
  fixture = await openIngressFixture();
  await fixture.environment("box");
  const { table, clock, ids, settings, log } = fixture.world.ctx;
  const deployment = { version: "1", startedAt: 0, isolation: "memory", limits: "memory" };
  const runtime = { ports: { table }, clock, ids, log, settings, deployment };
  const reach = { openTerminal: () => Promise.reject(new NoTerminal("gone")) };
  const options = { runtime, reach, connect: connectLocally, port: 0, isAllowed: () => true, isReady: () => true };
  full = [];
  const noteFull = (bound: string) => void full.push(bound);
  startBounded = (times) => startWeb({ ...options, noteFull, times });
  web = await startBounded({ headersMs: 50, restMs: 50 });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await web.stop();
  await fixture.close();
});

/** Sends the beginning of a request. */
function send(...lines: string[]): Socket {
  const socket = connect(web.port, "127.0.0.1")
    .on("error", () => undefined)
    .resume();
  sockets.add(socket);
  socket.write(`${lines.join("\r\n")}\r\n`);
  return socket;
}
const post = (host: string, ...headers: string[]) =>
  send("POST / HTTP/1.1", `Host: ${host}`, "Transfer-Encoding: chunked", ...headers, "");
/** An unread body resets its connection, which is an error here. */
const closed = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));
const chunk = "1\r\nx\r\n";

/** Sends one byte after another until the server closes the connection, and returns the status that came before. */
async function trickle(socket: Socket): Promise<string> {
  const sending = setInterval(() => socket.write(chunk), 5);
  let text = "";
  socket.on("data", (part) => {
    text += part;
  });
  await closed(socket);
  clearInterval(sending);
  return text.split(" ")[1] ?? "";
}

it("limits the time of a request's headers, and not that of a request", () => {
  const { headersTimeout, requestTimeout } = createWebServer({ headersMs: 60_000 });

  expect([headersTimeout, requestTimeout]).toEqual([60_000, 0]);
});

it("an upload goes on for any number of checks of the server while its bytes arrive", async () => {
  const { promise: received, resolve } = Promise.withResolvers<number>();
  fixture.serve((incoming, outgoing) => {
    let bytes = 0;
    incoming.on("data", (part: Buffer) => {
      bytes += part.length;
    });
    incoming.on("end", () => {
      outgoing.end();
      resolve(bytes);
    });
  });
  const silent = send("POST / HTTP/1.1");
  const cut = closed(silent);
  const upload = post("box.preview.localhost", `Authorization: Bearer ${fixture.key}`);

  // The server has checked its connections twice once it has cut two silent ones, one after the other.
  await cut;
  upload.write(chunk);
  await closed(send("POST / HTTP/1.1"));
  upload.write(`${chunk}0\r\n\r\n`);

  expect(await received).toBe(2);
});

it("drops the oldest silent connections, so that a flood of them locks out no browser", async () => {
  await web.stop();
  web = await startBounded({ mostSilent: 2 });
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  fixture.serve(() => resolve());
  const busy = send("GET / HTTP/1.1", "Host: box.preview.localhost", `Authorization: Bearer ${fixture.key}`, "");
  await begun;
  const [first] = [send("GET / HTTP/1.1"), send("GET / HTTP/1.1"), send("GET / HTTP/1.1")];

  await closed(first);

  expect(full).toEqual(["silent web connections"]);
  expect(busy.destroyed).toBe(false);
  expect((await ask(web.port, "box.preview.localhost", {})).status).toBe(401);
});

it("drains although a client sent requests ahead and left before their answers", async () => {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  fixture.serve(() => resolve());
  const request = ["GET / HTTP/1.1", "Host: box.preview.localhost", `Authorization: Bearer ${fixture.key}`, ""];
  const client = send(...request, ...request, ...request);
  await begun;

  client.destroy();

  await expect(web.drain()).resolves.toBeUndefined();
});

it("counts a connection as silent again once its requests are answered, so that none keeps out probes", async () => {
  await web.stop();
  web = await startBounded({ mostSilent: 2 });
  const trickling = send("GET / HTTP/1.1", "Host: 10.0.0.7", "Connection: keep-alive", "");
  await once(trickling, "data");
  trickling.write("GET / HTTP/1.1\r\nHost: 10.0.0.7\r\n");

  send("GET / HTTP/1.1");
  send("GET / HTTP/1.1");
  await closed(trickling);

  expect(full).toEqual(["silent web connections"]);
  expect((await ask(web.port, "10.0.0.7", { path: "/healthz" })).status).toBe(200);
});

it("takes no more connections than a replica may have, and notes it", async () => {
  await web.stop();
  web = await startBounded({ mostConnections: 1 });
  const held = send("GET / HTTP/1.1", "Host: 10.0.0.7", "Connection: keep-alive", "");
  await once(held, "data");

  await closed(send("GET / HTTP/1.1"));

  expect(full).toEqual(["web connections"]);
});

it.each([
  ["of a visitor without a key", "401", "box.preview.localhost"],
  ["to no page", "404", "10.0.0.7"],
])("the body of a refused request %s holds its connection only for a time", async (_, status, host) => {
  expect(await trickle(post(host))).toBe(status);
});

it("the rest of a body whose page has answered holds its connection only for a time", async () => {
  fixture.serve((_, outgoing) => outgoing.writeHead(413).end());

  expect(await trickle(post("box.preview.localhost", `Authorization: Bearer ${fixture.key}`))).toBe("413");
});
