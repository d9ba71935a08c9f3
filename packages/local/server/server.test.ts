import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { createRoute } from "@hono/zod-openapi";
import { afterEach, expect, test } from "vitest";
import * as z from "zod";
import { dev8 } from "#http/dialects/dev8.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import type { Runtime } from "#http/runtime.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { fixtureRuntime, key } from "#tests/worlds/fixture-endpoints.ts";
import { type RunningServer, startServer } from "./server.ts";

const servers: RunningServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

const reply = z.object({ user: z.string(), id: z.string() });
const me = gpuDev.endpoint(
  createRoute({ method: "get", path: "/v1/me", responses: { 200: jsonReply(reply) } }),
  { uses: [] },
  async ({ ctx }) => ({
    user: ctx.actor.username,
    id: "-",
  }),
);
/** The ids that were removed by the tests here. */
const removed: string[] = [];
const remove = dev8.endpoint(
  createRoute({
    method: "delete",
    path: "/api/v1/environments",
    request: { body: jsonBody(z.object({ workspaceId: z.string() })) },
    responses: { 200: jsonReply(reply) },
  }),
  { uses: [] },
  async ({ ctx, body }) => {
    removed.push(body.workspaceId);
    return { user: ctx.actor.username, id: body.workspaceId };
  },
);

/** How many connections this process holds, at either end. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
}

/** Sound because the endpoints here use the table alone. */
function withAllPorts<Given>(runtime: Given): Given & Runtime {
  return runtime as Given & Runtime;
}

const reach = { openTerminal: () => Promise.reject(new Error("There are no terminals here")) };

/** A server, its log, and a way to send it bytes that no client would and to read all that it answers. */
async function fixture() {
  const runtime = withAllPorts(await fixtureRuntime());
  const entries = [me, remove].map((declaration) => ({ name: declaration.path, file: "x", declaration }));
  const server = await startServer(() => runtime, entries, { port: 0, setting: "PORT", ways: { reach } });
  servers.push(server);
  const send = async (text: string) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => undefined);
    socket.write(text);
    await once(socket, "close");
    return Buffer.concat(chunks).toString();
  };
  const get = (target: string, ...headers: string[]) =>
    send(`${[`GET ${target} HTTP/1.1`, "Host: localhost", "Connection: close", ...headers].join("\r\n")}\r\n\r\n`);
  return { url: server.url, send, get, log: runtime.log };
}

test("a key in the base URL is removed before routing, however the target is spelled", async () => {
  const { get } = await fixture();
  const encoded = [...key].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");

  const answers = await Promise.all([
    get(`/k/${key}/v1/me`),
    get(`/%6b/${encoded}/v1/me`),
    get(`http://localhost/k/${key}/v1/me`),
    get(`/k/x/../${key}/v1/me`),
    get(`/k/${key}/v1/me?x=%`),
    get("/k//v1/me"),
    get("/k/%/v1/me"),
    get("/k/"),
    get(`//k/${key}/v1/me`),
    get("/k/a/k/b"),
  ]);

  const statuses = answers.map((answer) => answer.slice(9, 12));
  expect(statuses).toEqual(["200", "200", "200", "200", "200", "401", "401", "404", "404", "404"]);
});

test("an overlong request line is refused, and its key appears neither in the answer nor in the log", async () => {
  const { get, log } = await fixture();

  const [long, longHeader, fits] = [
    await get(`/k/${key}/v1/me?x=${"x".repeat(10_240)}`),
    await get("/v1/me", `X-API-Key: ${key}`, `X-Long: ${"x".repeat(10_240)}`),
    await get(`/k/${key}/v1/me?x=${"x".repeat(9_000)}`),
  ];

  expect([long, longHeader, fits].map((answer) => answer.slice(9, 12))).toEqual(["431", "431", "200"]);
  expect(long + longHeader + JSON.stringify(log.lines)).not.toContain(key);
});

test("the parser refuses a raw space in the request line without repeating the request", async () => {
  const { get } = await fixture();

  const answer = await get(`/k/${key}/v1/me?command=print(1) x`);

  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).not.toContain(key);
});

test("a DELETE carries its body in one piece or in chunks, and leaves the next request on the connection intact", async () => {
  const { send, url } = await fixture();
  const head = `DELETE /k/${key}/api/v1/environments HTTP/1.1\r\nHost: localhost\r\n`;
  const body = '{"workspaceId":"abc"}';
  const whole = `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  const chunked = `${head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n15\r\n${body}\r\n0\r\n\r\n`;

  const both = await send(whole + chunked);
  const fetched = await fetch(`${url}/k/${key}/api/v1/environments`, { method: "DELETE", body });

  expect(both.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(both.match(/"id":"abc"/g)).toHaveLength(2);
  expect(await fetched.json()).toEqual({ user: "alice", id: "abc" });
});

const upgrade =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n";

test.each([
  ["two Host headers", "GET /v1/me HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Bad Request"],
  ["no Host header", "GET /v1/me HTTP/1.1\r\n\r\n", 400, "Bad Request"],
  ["an empty Host header", "GET /v1/me HTTP/1.1\r\nHost:\r\n\r\n", 400, "Bad Request"],
  ["an invalid host", "GET /v1/me HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Bad Request"],
  ["no path", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "Bad Request"],
  ["an address of another protocol", "GET ftp://x/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "Bad Request"],
  ["an invalid address", "GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "Bad Request"],
  [
    "two Host headers and an upgrade",
    `GET /v1/me HTTP/1.1\r\nHost: a\r\nHost: b\r\n${upgrade}\r\n`,
    400,
    "Bad Request",
  ],
  ["no path and an upgrade", `GET * HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n`, 400, "Bad Request"],
  ["an expectation", "GET /v1/me HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n", 417, "Expectation Failed"],
  [
    "a header without an end",
    `GET / HTTP/1.1\r\nX: ${"x".repeat(11_000)}\r\n\r\n`,
    431,
    "Request Header Fields Too Large",
  ],
  [
    "an unknown transfer coding",
    "POST /v1/me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked, chunked\r\n\r\n0\r\n\r\n",
    501,
    "Not Implemented",
  ],
  [
    "an unknown transfer coding in a separate header",
    "POST /v1/me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    501,
    "Not Implemented",
  ],
  [
    "an unknown transfer coding with a body",
    "POST /v1/me HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    501,
    "Not Implemented",
  ],
  ["a host outside of ASCII", "GET /v1/me HTTP/1.1\r\nHost: h\u00e4\r\nConnection: close\r\n\r\n", 400, "Bad Request"],
  ["a host with half a port", "GET /v1/me HTTP/1.1\r\nHost: A:\r\nConnection: close\r\n\r\n", 400, "Bad Request"],
  ["a tunnel to another host", "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n", 400, "Bad Request"],
  [
    "a body without valid chunks",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    400,
    "Bad Request",
  ],
  ["no HTTP at all", "hello\r\n\r\n", 400, "Bad Request"],
])("%s is refused with a message and the usual headers", async (_, text, status, detail) => {
  const { send } = await fixture();

  const answer = await send(text);

  const [head = "", body = ""] = answer.split("\r\n\r\n");
  expect(head).toContain(`HTTP/1.1 ${status} ${detail}\r\n`);
  for (const name of ["X-Request-ID: ", "Cache-Control: no-store", "Referrer-Policy: no-referrer"]) {
    expect(head).toContain(name);
  }
  expect(body).toContain(JSON.stringify({ detail }));
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
});

test("invalid bytes after a request do not replace its answer", async () => {
  const { send } = await fixture();

  const answer = await send(`GET /k/${key}/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\nhello\r\n\r\n`);

  expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
});

const path = `/k/${key}/api/v1/environments`;
const removal = (id: string) => {
  const body = JSON.stringify({ workspaceId: id });
  return `DELETE ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

test("the server stops while a client whose tunnel was refused keeps its end open", async () => {
  const { url } = await fixture();
  const client = connect({ port: Number(new URL(url).port), host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => undefined).resume();
  client.write("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n");
  await once(client, "end");

  await servers.pop()?.stop();

  client.destroy();
});

test.each([
  ["of the API", "localhost"],
  ["of a page", `x.${testSettings().domain}`],
])("the connection of a refused WebSocket %s is closed, although its client keeps sending", async (_, host) => {
  const { url } = await fixture();
  const client = connect({ port: Number(new URL(url).port), host: "127.0.0.1", allowHalfOpen: true });
  client.write(`GET /nowhere HTTP/1.1\r\nHost: ${host}\r\n${upgrade}\r\n`);

  const answer = await text(client);
  client.end("nobody reads this");

  expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
  await expect.poll(openSockets).toBe(0);
});

test.each([
  ["a body without valid chunks", "POST /v1/me HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
  ["a tunnel", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"],
  ["an upgrade without a path", `GET * HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`],
  ["an upgrade at a path without a WebSocket", `GET / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`],
  ["an upgrade of a page", `GET / HTTP/1.1\r\nHost: x.${testSettings().domain}\r\n${upgrade}\r\n`],
])(
  "%s after a pending request is not answered in its place, and the pending request is answered",
  async (_, broken) => {
    const { send } = await fixture();

    const name = await send(removal("one") + broken);
    const two = await send(removal("one") + removal("two") + broken);

    expect([name, two].map((answer) => answer.match(/HTTP\/1\.1 \d+|"id":"\w+"/g))).toEqual([
      ["HTTP/1.1 200", '"id":"one"'],
      ["HTTP/1.1 200", '"id":"one"', "HTTP/1.1 200", '"id":"two"'],
    ]);
  },
);

test("an oversized body is answered 413, and a client that is still sending it is not cut off", async () => {
  const { url } = await fixture();
  const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", allowHalfOpen: true });
  const faults: unknown[] = [];
  socket.on("error", (error) => faults.push(error));
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  socket.write(`DELETE ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(32)}`);

  await once(socket, "end");
  for (let n = 0; n < 16; n += 1) await new Promise((resolve) => socket.write(chunk, resolve));
  socket.end("0\r\n\r\n");
  await once(socket, "close");

  expect([answer.slice(0, 12), faults]).toEqual(["HTTP/1.1 413", []]);
});

const chunks = `10000\r\n${"x".repeat(65_536)}\r\n`.repeat(32);

test.each([
  ["a request with an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "", 400],
  ["an unknown coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", "0\r\n\r\n", 501],
  ["an expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "", 417],
  [
    "a body that is too large",
    `DELETE ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    "0\r\n\r\n",
    413,
  ],
])("a request after the last answer of a connection, to %s, is not executed", async (_, first, rest, status) => {
  const { url } = await fixture();
  removed.length = 0;
  for (const isAtOnce of [true, false]) {
    const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", allowHalfOpen: true });
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", () => undefined);
    const gone = once(socket, "close");
    socket.write(isAtOnce ? first + rest + removal("at once") : first);
    await once(socket, "end");
    socket.end(rest + removal("afterwards"));
    await gone;
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
  }

  await fetch(`${url}${path}`, { method: "DELETE", body: '{"workspaceId":"last"}' });
  expect(removed).toEqual(["last"]);
});

test("an HTTP/1.0 request needs no Host header", async () => {
  const { send } = await fixture();

  expect(await send("GET /v1/me HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 401 /);
});
