import { mkdtempSync, rmSync } from "node:fs";
import { Duplex } from "node:stream";
import type { Client } from "ssh2";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startHomeSsh } from "#local/home-ssh.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { text, u32 } from "#process/sftp/packets.ts";
import { type LogLine, recordingLog } from "#tests/fixtures/log.ts";
import type { SshDirectory } from "../ports/directory.ts";
import type { Reach } from "../ports/reach.ts";
import { numbers, type RawChannel, takeOver } from "./channels/raw-ssh-fixture.ts";
import { newSshKey } from "./login/ssh-keys.ts";
import type { SshServer } from "./ssh.ts";
import { connectSsh } from "./ssh-fixture.ts";

const WINDOW_BYTES = 2 * 1024 * 1024;
const PACKET_BYTES = 30_000;
const EOF = 96;

const key = newSshKey();
const clients = new Set<Client>();
let home: string;
let server: SshServer;
let lines: readonly LogLine[];
let received: number;

/** A connection into a run whose end does not read until `read` is called. */
let read: () => void;
const deaf = () =>
  new Duplex({
    read: () => undefined,
    write: (part: Buffer, _, done) => {
      received += part.length;
      read = () => {
        read = () => undefined;
        done();
      };
    },
  });

beforeEach(async () => {
  home = mkdtempSync("/var/tmp/berth-ssh-");
  read = () => undefined;
  received = 0;
  const log = recordingLog();
  lines = log.lines;
  const directory = {
    find: async (login) => (login === "ended" ? [] : [{ name: login, keys: [key.public] }]),
    findEnded: async (login) =>
      login === "ended" ? { keys: [key.public], words: "The job has ended", at: Date.now() } : undefined,
    admits: async () => true,
  } as Partial<SshDirectory> as SshDirectory;
  const reach = { dial: async () => deaf() } as Partial<Reach> as Reach;
  server = await startHomeSsh({ home, directory, reach, port: 0, log, loginWithinMs: 2 * PATIENCE_MS });
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients.clear();
  await server.stop();
  rmSync(home, { recursive: true });
});

async function connect(username = "one") {
  const client = await connectSsh({ port: server.port, username, privateKey: key.private }, clients);
  // `once` of node:events would fail with the reset that data on its way to the closed connection gets.
  const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
  const ssh = takeOver(client);
  const open = async (type: string, ...parts: readonly Buffer[]): Promise<RawChannel> => {
    const channel = await ssh.open(type, ...parts);
    if (!channel) throw new Error("The server refuses a channel");
    return channel;
  };
  return {
    ssh,
    closed,
    forward: () => open("direct-tcpip", text("127.0.0.1"), u32(80), text("127.0.0.1"), u32(0)),
    session: () => open("session"),
  };
}

function sendData(channel: RawChannel, bytes: number): void {
  for (let left = bytes; left > 0; left -= PACKET_BYTES) {
    const part = Buffer.alloc(Math.min(left, PACKET_BYTES));
    channel.send(numbers.data, u32(part.length), part);
  }
}

const cuts = () => lines.filter(({ event }) => event === "ssh cut").map(({ fields }) => fields);

/** ssh2 adds to a window until 2 MiB are unread, so up to 4 MiB may be. */
const TOO_MANY_BYTES = 3 * WINDOW_BYTES;

it("a client that sends more than the window of a forward is cut, and the log names its run", async () => {
  const { forward, closed } = await connect();

  sendData(await forward(), TOO_MANY_BYTES);
  await closed;

  expect(cuts()).toEqual([{ run: "one", reason: "more data than the window of its channel" }]);
});

it("a client that fills the window of a forward is not cut, and its data arrives once the run reads", async () => {
  const { forward, ssh } = await connect();
  const channel = await forward();

  sendData(channel, WINDOW_BYTES);
  const later = await forward();
  for (;;) {
    read();
    if (received === WINDOW_BYTES) break;
    await new Promise(setImmediate);
  }
  await ssh.until((all) =>
    all.find(({ name, fields }) => name === "CHANNEL_WINDOW_ADJUST" && fields[0] === channel.own),
  );

  expect([later.own, cuts()]).toEqual([2, []]);
});

it("the client with the most input that its run does not read is cut, beyond 128 MiB of an environment", async () => {
  const [small, large] = [await connect(), await connect()];

  sendData(await small.forward(), WINDOW_BYTES);
  for (let sent = 0; sent < 66 * WINDOW_BYTES; sent += WINDOW_BYTES) {
    const channel = await large.forward().catch(() => undefined);
    if (!channel) break;
    sendData(channel, WINDOW_BYTES);
  }
  await large.closed;
  const later = await small.forward();

  expect([later.own, cuts()]).toEqual([2, []]);
});

it("a client that sends data after the end of its input is cut", async () => {
  const { session, closed } = await connect("ended");
  const channel = await session();
  await channel.request("shell");

  channel.send(EOF);
  sendData(channel, 1);
  await closed;

  expect(cuts()).toEqual([{ run: "", reason: "data after the end of its input" }]);
});
