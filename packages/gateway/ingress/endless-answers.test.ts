import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type IngressFixture, openIngressFixture } from "./ingress-fixture.ts";
import { openRawPage, plainAnswer, type RawPage } from "./raw-page-fixture.ts";

const host = "own.preview.localhost";
const part = Buffer.alloc(64 * 1024, "x");
/** Far more than the buffers of all sockets on the way. */
const MOST_BYTES = 64 * 1024 * 1024;

let fixture: IngressFixture;
let page: RawPage;

beforeEach(async () => {
  page = await openRawPage();
  fixture = await openIngressFixture({ answerMs: 1_000 }, { connect: page.connect, isBoundToRun: true });
  await fixture.environment("own");
});
afterEach(async () => {
  page.close();
  await fixture.close();
});

/** Writes a part again and again, as fast as its reader takes them. Resolves at the end of the connection. */
async function writeWithoutEnd(socket: Socket, text: string): Promise<void> {
  while (!socket.destroyed) {
    if (!socket.write(text)) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => undefined);
  }
}

describe("a page that answers without an end", () => {
  it.each([
    ["a header", "HTTP/1.1 200 OK\r\nX-Long: ", "x".repeat(1_000), 502],
    ["headers", "HTTP/1.1 200 OK\r\n", "X-More: x\r\n".repeat(100), 502],
    ["interim answers", "", "HTTP/1.1 103 Early Hints\r\n\r\n", 504],
  ])("with %s gives its client an error, and the next page opens", async (_, head, text, status) => {
    const { promise: ended, resolve } = Promise.withResolvers<unknown>();
    page.answerWith(({ path }, socket) => {
      if (path === "/next") return void socket.write(plainAnswer("own"));
      socket.write(head);
      void writeWithoutEnd(socket, text).then(resolve);
    });
    const headers = { authorization: `Bearer ${fixture.key}` };

    const answer = await fixture.ask(host, { path: "/endless", headers });
    await ended;
    const next = await fixture.ask(host, { path: "/next", headers });

    expect([answer.status, next.body]).toEqual([status, "own"]);
  });

  it("waits for a client that does not read, so the gateway keeps no more than buffers of sockets", async () => {
    let written = 0;
    const { promise: full, resolve } = Promise.withResolvers<void>();
    page.answerWith((_, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const write = (): void => {
        while (written < MOST_BYTES) {
          written += part.length;
          const chunk = Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]);
          if (!socket.write(chunk)) return void socket.once("drain", write);
        }
        resolve();
      };
      write();
    });
    const client = connect(fixture.port, "127.0.0.1");
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${fixture.key}\r\n\r\n`);
    await once(client, "readable");

    // It goes on once the client reads, and not before.
    const unread = await countUntilStill(() => written);
    client.resume();
    await full;
    client.destroy();

    expect(unread).toBeLessThan(MOST_BYTES / 2);
  });
});

/** Returns a count that no longer grows while the event loop turns. */
async function countUntilStill(count: () => number): Promise<number> {
  for (let last = -1, still = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    still = count() === last ? still + 1 : 0;
    if (still === 20) return last;
    last = count();
  }
}
