import { once } from "node:events";
import { createServer, type Server, type ServerOptions } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { seededIds } from "#tests/fixtures/ids.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { answerBadRequests, isRefused, isUpgradeRefused, unreadableRequest } from "./bad-requests.ts";

let server: Server;
let port: number;

async function serve(limits: ServerOptions): Promise<void> {
  server = createServer(limits, (request) => request.resume());
  answerBadRequests(server, seededIds(1));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
}

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test.each([
  ["whose headers never end", "POST / HTTP/1.1\r\nHost: localhost\r\n"],
  ["whose body never ends", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"],
])(
  "a request %s is answered 408 with a message and the usual headers, and its connection is closed",
  async (_, sent) => {
    // Node's limits of one and five minutes, shortened so that a stalled client gets an answer at once.
    await serve({ headersTimeout: 1, requestTimeout: 1, connectionsCheckingInterval: 10 });
    const socket = connect(port, "127.0.0.1").on("error", () => undefined);
    socket.write(sent);

    const [head = "", body = ""] = (await text(socket)).split("\r\n\r\n");

    expect(head).toContain("HTTP/1.1 408 Request Timeout\r\n");
    for (const header of [
      "Content-Type: application/json",
      "Cache-Control: no-store",
      "Referrer-Policy: no-referrer",
    ]) {
      expect(head).toContain(`\r\n${header}`);
    }
    expect(head).toMatch(/\r\nX-Request-ID: [0-9a-f]{32}\r\n/);
    expect(head).toMatch(/\r\nConnection: close$/);
    expect(head).toContain("\r\nBerth-Error: invalid\r\n");
    expect(body).toBe('{"detail":"Request Timeout"}');
  },
);

const forNobody = `GET * HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

test.each([
  ["a tunnel", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"],
  ["an upgrade without a path", forNobody],
])("%s is answered and its connection closed, although its client keeps sending", async (_, sent) => {
  await serve({});
  server.on("upgrade", (request) => isUpgradeRefused(request, seededIds(2)));
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => undefined);
  client.write(sent);
  const [socket] = await accepted;
  const gone = once(socket, "close");

  const answer = await text(client);
  client.end("nobody reads this");
  await gone;

  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
});

test("a client with a hundred unanswered requests is cut off at the next one, which is not processed", async () => {
  await serve({});
  let begun = 0;
  server.on("request", (request, response) => {
    if (!isRefused(request, response, seededIds(3))) begun += 1;
  });
  const client = connect(port, "127.0.0.1").on("error", () => undefined);
  const closed = new Promise((resolve) => client.resume().once("close", resolve));

  client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2_000));
  await closed;

  expect(begun).toBe(100);
});

test("each request that was sent ahead learns once that its client has left", async () => {
  await serve({});
  const closed: string[] = [];
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  server.on("request", ({ url = "" }, response) => {
    response.on("close", () => closed.push(url));
    if (url === "/3") resolve();
  });
  const client = connect(port, "127.0.0.1").on("error", () => undefined);
  client.write(["/1", "/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(""));
  await begun;

  client.destroy();

  await expect.poll(() => closed.toSorted()).toEqual(["/1", "/2", "/3"]);
});

test("an internal failure is logged under the request id of the answer", () => {
  const log = recordingLog();

  const answer = unreadableRequest({ ids: seededIds(1), log })(new Error("broken"));

  const requestId = answer.headers.get("x-request-id");
  expect(answer.status).toBe(500);
  const error = expect.stringContaining("Error: broken");
  expect(log.lines).toEqual([{ level: "error", event: "request failed", fields: { requestId, error } }]);
});
