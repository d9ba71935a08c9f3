import { once } from "node:events";
import { connect } from "node:net";
import { createRoute } from "@hono/zod-openapi";
import { afterEach, expect, test } from "vitest";
import * as z from "zod";
import { streamed } from "#http/answers/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import type { Runtime } from "#http/runtime.ts";
import { fixtureRuntime, key } from "#tests/worlds/fixture-endpoints.ts";
import { type RunningServer, startServer } from "./server.ts";

let server: RunningServer | undefined;
afterEach(() => server?.stop());

/** A server whose `/v1/stream` sends pieces until it is left. Counts the pieces and tells when the stream has ended. */
async function streamingServer(piece: Buffer, pauseMs: number) {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const sent = { pieces: 0 };
  async function* pieces() {
    try {
      for (;;) {
        sent.pieces++;
        yield piece;
        await new Promise((done) => setTimeout(done, pauseMs));
      }
    } finally {
      resolve();
    }
  }
  const route = createRoute({ method: "get", path: "/v1/stream", responses: { 200: jsonReply(z.string()) } });
  const declaration = gpuDev.endpoint(route, { uses: [] }, async () =>
    streamed(pieces(), { contentType: "text/event-stream" }),
  );
  const runtime = (await fixtureRuntime()) as unknown as Runtime;
  const options = { port: 0, setting: "PORT", stalledAfterMs: 200 } as const;
  server = await startServer(() => runtime, [{ name: "stream", file: "x", declaration }], options);
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(`GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`);
  return { socket, ended, sent };
}

test("a client that does not read its stream is disconnected", async () => {
  const { socket, ended, sent } = await streamingServer(Buffer.alloc(256 * 1024), 0);
  socket.pause();

  await ended;

  expect(sent.pieces).toBeLessThan(200);
  socket.resume();
  await once(socket, "close");
});

test("a client that reads its stream slowly stays connected", async () => {
  const { socket, sent } = await streamingServer(Buffer.from(": \n\n"), 20);
  socket.resume();

  while (sent.pieces < 40) await once(socket, "data");

  expect(socket.destroyed).toBe(false);
  socket.destroy();
});
