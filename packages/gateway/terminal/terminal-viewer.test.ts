import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  offsetBytes,
  readOffset,
  TERMINAL_WINDOW,
  type TerminalFrame,
  terminalFrame,
  terminalFrameReader,
} from "#relay/terminal-frames.ts";
import { viewTerminal } from "./terminal-viewer.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A client, and the environment's end of its terminal. */
async function openViewer(reason?: "ended") {
  const [ofGateway, environment] = duplexPair();
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  closers.push(() => server.close());
  let ofClient: WebSocket | undefined;
  server.once("connection", (ws) => {
    ofClient = ws;
    const reach = { openTerminal: async () => ofGateway };
    viewTerminal(ws, {
      reach,
      run: "run",
      id: "one",
      isNew: true,
      findReason: async () => reason,
      onOpened: () => undefined,
    });
  });
  await once(server, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  closers.push(() => client.terminate());
  await once(client, "open");
  return { client, environment, ofGateway, countUnsent: () => ofClient?.bufferedAmount };
}

/** Opens the terminal of a client that then reads nothing, and acknowledges output until the gateway holds the program. */
async function fillUnread({ client, environment, ofGateway }: Awaited<ReturnType<typeof openViewer>>): Promise<number> {
  client.send(JSON.stringify({ type: "open", columns: 80, rows: 24 }));
  await once(environment, "data");
  const opened = once(client, "message");
  environment.write(terminalFrame("hello", offsetBytes(0)));
  await opened;
  client.pause();
  let sent = 0;
  while (!ofGateway.isPaused()) {
    const acked = nextAck(environment);
    environment.write(terminalFrame("output", Buffer.alloc(TERMINAL_WINDOW, "x")));
    sent += TERMINAL_WINDOW;
    await new Promise(setImmediate);
    client.send(JSON.stringify({ type: "ack", offset: sent }));
    expect(await acked).toBe(sent);
  }
  return sent;
}

/** Resolves with the offset of the next acknowledgement that reaches the environment. */
function nextAck(environment: Duplex): Promise<number> {
  const read = terminalFrameReader();
  return new Promise((resolve) => {
    const take = (part: Buffer) => {
      const ack = read(part).find(({ kind }: TerminalFrame) => kind === "ack");
      if (!ack) return;
      environment.off("data", take);
      resolve(readOffset(ack.content) ?? -1);
    };
    environment.on("data", take);
  });
}

test("a client that acknowledges output without reading it holds the program, and later gets only that output", async () => {
  const viewer = await openViewer();
  const { client, ofGateway } = viewer;
  const texts: string[] = [];
  let output = 0;
  client.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary) output += data.length;
    else texts.push(data.toString());
  });
  const sent = await fillUnread(viewer);
  client.resume();

  await expect.poll(() => output).toBe(sent);
  expect(ofGateway.isPaused()).toBe(false);
  expect(texts).toEqual([expect.stringContaining("opened")]);
});

test("pings of a client that does not read are not answered, so that no answers pile up", async () => {
  const viewer = await openViewer();
  const sent = await fillUnread(viewer);
  const before = viewer.countUnsent();
  const acked = nextAck(viewer.environment);

  for (let n = 0; n < 100; n += 1) viewer.client.send(JSON.stringify({ type: "ping" }));
  viewer.client.send(JSON.stringify({ type: "ack", offset: sent }));
  await acked;

  expect(viewer.countUnsent()).toBe(before);
});

test.each([
  ["the end of the run", "ended", 4410],
  ["no reason that the gateway finds", undefined, 4503],
] as const)("a stream that the environment cuts is closed for %s", async (_, reason, code) => {
  const { client, environment } = await openViewer(reason);
  client.send(JSON.stringify({ type: "open", columns: 80, rows: 24 }));
  await once(environment, "data");
  environment.end();

  expect((await once(client, "close"))[0]).toBe(code);
});
