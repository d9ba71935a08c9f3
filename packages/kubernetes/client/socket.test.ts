import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { execInPod } from "../exec/pod-exec.ts";
import { postToPod } from "../exec/pod-port.ts";
import { type LoopbackServer, loopbackServer } from "../fixtures/loopback-fixture.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import type { ApiAccess } from "./exchange.ts";

const sockets = new WebSocketServer({ noServer: true });
let server: LoopbackServer;
let client: ApiClient;

afterEach(async () => {
  client.close();
  await server.close();
});

type Upgrading = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

async function open(upgrade: Upgrading, options: Partial<ApiAccess> = {}): Promise<ApiClient> {
  server = await loopbackServer((_, response) => response.end(), options, upgrade);
  client = apiClient(server.access);
  return client;
}

function refuse(socket: Duplex, status: string, reason: string): void {
  const body = JSON.stringify({ kind: "Status", reason, message: "secret-word" });
  socket.end(`HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
}

describe("a stream of a pod", () => {
  it("that is refused names the code, and neither its query nor the server's text", async () => {
    await open((_, socket) => refuse(socket, "403 Forbidden", "Forbidden"));

    await expect(client.socket("/pods/a/exec?command=secret-word", "v5.channel.k8s.io")).rejects.toMatchObject({
      name: "ApiRefused",
      message: "GET /pods/a/exec: 403 Forbidden",
    });
  });

  it("opens with a fresh token after the first has expired", async () => {
    const tokens: unknown[] = [];
    await open(
      (request, socket, head) => {
        tokens.push(request.headers.authorization);
        if (tokens.length === 1) return refuse(socket, "401 Unauthorized", "Unauthorized");
        sockets.handleUpgrade(request, socket, head, () => undefined);
      },
      { token: async (refused) => (refused === undefined ? "old" : "new") },
    );

    const socket = await client.socket("/pods/a/exec", "v5.channel.k8s.io");
    socket.terminate();

    expect(tokens).toEqual(["Bearer old", "Bearer new"]);
  });

  it("trusts the certificate of its own access, whatever others have trusted before", async () => {
    const accept: Upgrading = (request, socket, head) => sockets.handleUpgrade(request, socket, head, () => undefined);
    await open(accept);
    const otherServer = await loopbackServer((_, response) => response.end());
    const stranger = apiClient({ ...server.access, ca: otherServer.access.ca });

    const trusted = [await client.socket("/a", "v5.channel.k8s.io"), await client.socket("/b", "v5.channel.k8s.io")];
    const refused = stranger.socket("/pods/a/exec", "v5.channel.k8s.io");

    await expect(refused).rejects.toMatchObject({ name: "ApiUnreachable" });
    expect(trusted.map(({ readyState, OPEN }) => readyState === OPEN)).toEqual([true, true]);
    for (const socket of trusted) socket.terminate();
    stranger.close();
    await otherServer.close();
  });

  it("fails without an answer, and with a cut connection", async () => {
    let count = 0;
    await open(
      (_, socket) => {
        count += 1;
        if (count === 2) socket.destroy();
      },
      { deadlineMs: 100 },
    );

    const dial = () => client.socket("/pods/a/exec", "v5.channel.k8s.io");

    await expect(dial()).rejects.toMatchObject({ name: "ApiUnreachable", code: "timed out" });
    await expect(dial()).rejects.toMatchObject({ name: "ApiUnreachable" });
  });
});

describe("a command in a pod", () => {
  const command = { pod: "/pods/a", container: "main", words: ["true"], stdin: Buffer.alloc(0) };
  const ran = async (messages: readonly Buffer[]) => {
    await open((request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (stream) => {
        for (const message of messages) stream.send(message);
        stream.close();
      });
    });
    return execInPod(client, { ...command, timeoutMs: 60_000, mostBytes: 100 });
  };
  const message = (channel: number, text: string) => Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
  const success = message(3, '{"status":"Success"}');

  it("is answered despite messages without a channel", async () => {
    const said = [message(1, "out"), Buffer.alloc(0), message(2, "err"), success];

    expect(await ran(said)).toMatchObject({ exitCode: 0, stdout: Buffer.from("out"), stderr: Buffer.from("err") });
  });

  it("fails once it has written more than its limit", async () => {
    const much = message(1, "x".repeat(30_000));

    await expect(ran([much, much, much, success])).rejects.toMatchObject({ name: "ApiUnreachable", code: "too much" });
  });
});

describe("a post to a port of a pod", () => {
  const input = { port: 8080, path: "/chat", body: "{}", timeoutMs: 60_000 };
  const opened = (then: (send: (channel: number, text: string) => void, close: () => void) => void) =>
    open((request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (stream) => {
        for (const channel of [0, 1]) stream.send(Buffer.from([channel, 0x90, 0x1f]));
        const send = (channel: number, text: string) =>
          stream.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
        stream.once("message", () => then(send, () => stream.close()));
      });
    });

  it("returns the answer", async () => {
    await opened((send) => {
      send(0, "HTTP/1.1 201 Created\r\ncontent-le");
      send(0, "ngth: 4\r\n\r\ndone");
    });

    expect(await postToPod(client, "/pods/a", input)).toEqual({ status: 201, body: "done" });
  });

  it("returns the answer after a message without a channel", async () => {
    await open((request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (stream) => {
        stream.send(Buffer.alloc(0));
        stream.send(Buffer.from([0, 0x90, 0x1f]));
        const answer = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n");
        stream.once("message", () => stream.send(Buffer.concat([Buffer.from([0]), answer])));
      });
    });

    expect(await postToPod(client, "/pods/a", input)).toEqual({ status: 204, body: "" });
  });

  it.each<[string, Parameters<typeof opened>[0], RegExp]>([
    ["nothing listens", (send) => send(1, "connection refused"), /Nothing answered on that port/],
    ["it closes at once", (_, close) => close(), /socket hang up/],
  ])("fails if %s", async (_, then, message) => {
    await opened(then);

    await expect(postToPod(client, "/pods/a", input)).rejects.toThrow(message);
  });

  it("fails without an answer", async () => {
    await opened(() => undefined);

    await expect(postToPod(client, "/pods/a", { ...input, timeoutMs: 200 })).rejects.toThrow(/abort|timeout/i);
  });

  it("refuses an invalid path, and more than 1 MiB", async () => {
    await opened(() => undefined);

    await expect(postToPod(client, "/pods/a", { ...input, path: "chat\r\nx: y" })).rejects.toThrow(
      "The path is invalid",
    );
    const body = "x".repeat(1024 * 1024 + 1);
    await expect(postToPod(client, "/pods/a", { ...input, body })).rejects.toThrow("larger than 1 MiB");
    expect(server.requests).toEqual([]);
  });
});
