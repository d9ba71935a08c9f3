import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { execInPod } from "../exec/pod-exec.ts";
import { dialPod } from "../exec/pod-port.ts";
import { openPodSession } from "../exec/pod-session.ts";
import { type LoopbackServer, loopbackServer } from "../fixtures/loopback-fixture.ts";
import { type ApiClient, apiClient } from "./api-client.ts";

const sockets = new WebSocketServer({ noServer: true });
const status = { success: '{"status":"Success"}' };
let server: LoopbackServer;
let client: ApiClient;

afterEach(close);

async function close(): Promise<void> {
  client.close();
  await server.close();
}

/** Server that sends its answer to the upgrade, these messages and the end of the stream in one write. */
async function answering(messages: readonly Buffer[]): Promise<void> {
  await serving((request, socket, head) => {
    socket.cork();
    sockets.handleUpgrade(request, socket, head, (stream: WebSocket) => {
      for (const message of messages) stream.send(message);
      stream.close();
    });
    socket.uncork();
  });
}

async function serving(upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void): Promise<void> {
  server = await loopbackServer((_, response) => response.end(), {}, upgrade);
  client = apiClient(server.access);
}

function message(channel: number, ...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat([Buffer.from([channel]), ...parts.map((part) => Buffer.from(part))]);
}

async function readText(stream: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

const port = Buffer.from([0x90, 0x1f]);

describe("bytes that a pod sends together with the answer to the upgrade", () => {
  it("reach the reader of a port", async () => {
    await answering([message(0, port), message(1, port), message(0, "SSH-2.0-server\r\n")]);

    expect(await readText(await dialPod(client, "/pods/a", 8080))).toBe("SSH-2.0-server\r\n");
  });

  it("reach the caller of a command", async () => {
    await answering([message(1, "first "), message(2, "problem"), message(1, "last"), message(3, status.success)]);
    const command = { pod: "/pods/a", container: "main", words: ["true"], stdin: Buffer.alloc(0) };

    const result = await execInPod(client, { ...command, timeoutMs: 60_000, mostBytes: 100 });

    expect(result).toMatchObject({ exitCode: 0, stdout: Buffer.from("first last"), stderr: Buffer.from("problem") });
  });

  it("reach an open session", async () => {
    await answering([message(1, "42\nfirst "), message(2, "problem"), message(1, "last"), message(3, status.success)]);

    const session = await openPodSession(client, { pod: "/pods/a", container: "main" }, { words: ["true"], env: {} });

    expect(await readText(session.output)).toBe("first last");
    expect(await readText(session.errors)).toBe("problem");
    expect(await session.ended).toBe(0);
  });

  it("report that nothing listens on a port", async () => {
    await answering([message(0, port), message(1, port), message(1, "connection refused")]);

    const stream = await dialPod(client, "/pods/a", 8080);

    await expect(readText(stream)).rejects.toThrow("Nothing answered on that port");
  });
});

describe("the port before the bytes of a channel", () => {
  const bytes = Buffer.concat([port, Buffer.from("data")]);

  it("is removed wherever messages end", async () => {
    for (const [first, second] of splits(bytes.length)) {
      const parts = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      await answering([message(1, port), ...parts.map((part) => message(0, part))]);

      expect(await readText(await dialPod(client, "/pods/a", 8080)), `${first} and ${second} bytes`).toBe("data");
      await close();
    }
  });

  it("is no error if it arrives in two messages or nothing follows it", async () => {
    const [low, high] = [port.subarray(0, 1), port.subarray(1)];
    await answering([message(1, low), message(0, low), message(1, high), message(0, high), message(1), message(0)]);

    expect(await readText(await dialPod(client, "/pods/a", 8080))).toBe("");
  });

  it("is removed from an error in the same message", async () => {
    await answering([message(0, port), message(1, port, "connection refused")]);

    await expect(readText(await dialPod(client, "/pods/a", 8080))).rejects.toThrow("Nothing answered on that port");
  });
});

describe("the bytes of a port", () => {
  it("arrive whole even if the connection splits the server's answer", async () => {
    const frames = Buffer.concat([
      frame(message(0, port)),
      frame(message(1, port)),
      frame(message(0, "data")),
      closing,
    ]);
    for (let first = 0; first <= frames.length; first += 1) {
      await serving((request, socket) => {
        socket.once("data", () => socket.end());
        socket.write(Buffer.concat([acceptance(request), frames.subarray(0, first)]), () => {
          setImmediate(() => socket.write(frames.subarray(first)));
        });
      });

      expect(await readText(await dialPod(client, "/pods/a", 8080)), `${first} bytes`).toBe("data");
      await close();
    }
  });
});

/** Positions of two cuts, in order. */
function splits(length: number): [number, number][] {
  const cuts = Array.from({ length: length + 1 }, (_, at) => at);
  return cuts.flatMap((first) =>
    cuts.filter((second) => second >= first).map((second): [number, number] => [first, second]),
  );
}

/** Unfragmented binary message of fewer than 126 bytes (RFC 6455, 5.2). */
function frame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x82, payload.length]), payload]);
}

/** Answer to an upgrade (RFC 6455, 4.2.2). */
function acceptance({ headers }: IncomingMessage): Buffer {
  const accepted = createHash("sha1").update(`${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accepted.digest("base64")}`,
    `Sec-WebSocket-Protocol: ${headers["sec-websocket-protocol"]}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}

/** Close frame with code 1000. */
const closing = Buffer.from([0x88, 2, 0x03, 0xe8]);
