import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { openServer, type ServerFixture } from "../../sdk/server-fixture.ts";
import { openClient } from "./client.ts";

const key = "k";
let server: ServerFixture | undefined;
afterEach(() => server?.close());

test("a call carries its body and headers, and an answer in UTF-8 is whole", async () => {
  const username = "ü✓".repeat(50_000);
  server = await openServer(() => ({ body: { username } }));

  const answer = await openClient({ url: server.url, key, userAgent: "test" }).call("POST", "/v1/x", {
    body: { name: "ö" },
  });

  expect(answer).toEqual({ username });
  expect(server.seen).toMatchObject([
    {
      method: "POST",
      path: "/v1/x",
      body: '{"name":"ö"}',
      headers: { authorization: "Bearer k", "content-type": "application/json", "user-agent": "test" },
    },
  ]);
});

test.each([301, 302, 303, 307, 308])("a redirect by %i is refused, and its address gets no request", async (status) => {
  const other = await openServer(() => ({}));
  server = await openServer(() => ({ status, headers: { location: `${other.url}/v1/me` } }));

  const answer = openClient({ url: server.url, key }).call("POST", "/v1/x", { body: {} });

  await expect(answer).rejects.toMatchObject({ code: "unreachable", message: /unexpected redirect$/ });
  expect(other.seen).toEqual([]);
  other.close();
});

test("an abort ends a call with the reason of the signal", async () => {
  const ending = new AbortController();
  server = await openServer(() => {
    ending.abort(new Error("the user left"));
    return new Promise(() => undefined);
  });

  const answer = openClient({ url: server.url, key, signal: ending.signal }).me();

  await expect(answer).rejects.toThrow("the user left");
});

test("an answer that ends before its length is no answer", async () => {
  const cut = createServer((socket) => {
    socket.once("data", () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"username":"ada"}'));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => cut.once("listening", resolve));
  const { port } = cut.address() as { port: number };

  const answer = openClient({ url: `http://127.0.0.1:${port}`, key }).call("POST", "/v1/x", { body: {} });

  await expect(answer).rejects.toMatchObject({ code: "unreachable", message: /: ECONNRESET$/ });
  cut.close();
});
