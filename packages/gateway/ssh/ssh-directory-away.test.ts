import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from "ssh2";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Notice } from "#core/ports/compute.ts";
import { startHomeSsh } from "#local/home-ssh.ts";
import { eventually } from "#process/fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import type { SshDirectory } from "../ports/directory.ts";
import type { Reach } from "../ports/reach.ts";
import { echo } from "./echo-fixture.ts";
import { newSshKey } from "./login/ssh-keys.ts";
import type { SshServer } from "./ssh.ts";
import { exec, said } from "./ssh-fixture.ts";

const key = newSshKey();
let home: string;
let server: SshServer;
let log: ReturnType<typeof recordingLog>;
/** Runs before the directory's store answers. */
let beforeAnswer: () => Promise<unknown>;
let asked: number;
let atOnce: number;
let mostAtOnce: number;
let admitted: boolean;
let notice: Notice | undefined;
const clients = new Set<Client>();
beforeEach(async () => {
  home = mkdtempSync("/var/tmp/berth-ssh-");
  log = recordingLog();
  [beforeAnswer, asked, admitted, notice] = [async () => undefined, 0, true, undefined];
  [atOnce, mostAtOnce] = [0, 0];
  const answer =
    <Value>(value: () => Value) =>
    async (): Promise<Value> => {
      asked += 1;
      atOnce += 1;
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      await beforeAnswer().finally(() => {
        atOnce -= 1;
      });
      return value();
    };
  const directory: SshDirectory = {
    find: answer(() => [{ name: "run", keys: [key.public] }]),
    admits: answer(() => admitted),
    findEnded: answer(() => undefined),
    // It answers last.
    findNotice: async () => sleep(notice ? 100 : 0).then(answer(() => notice)),
    hasNoDisk: answer(() => false),
  };
  const reach = { start: echo } as Partial<Reach> as Reach;
  server = await startHomeSsh({ home, directory, reach, port: 0, log, loginWithinMs: 2 * PATIENCE_MS });
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients.clear();
  await server.stop();
  rmSync(home, { recursive: true });
});

const start = (options: ConnectConfig = {}): Client => {
  const client = new ssh2.Client();
  clients.add(client);
  const readyTimeout = 2 * PATIENCE_MS;
  const place = { host: "127.0.0.1", port: server.port, username: "one" };
  client.connect({ ...place, privateKey: key.private, readyTimeout, ...options });
  return client;
};
const connect = async (): Promise<Client> => {
  const client = start();
  await once(client, "ready");
  return client.on("error", () => undefined);
};
const away = async () => Promise.reject(new Error("the table is away"));

it("keeps open connections while the directory is away, and takes new programs of theirs", async () => {
  const client = await connect();
  beforeAnswer = away;

  const failures = () => log.lines.filter(({ event }) => event === "ssh connections not checked").length;
  await eventually(failures, (count) => count >= 2);

  expect(await said(await exec(client, "cat"), "still here")).toMatchObject({ code: 0, out: "still here" });
});

it("tells a new client that keys cannot be checked, and logs in the next one once they can", async () => {
  beforeAnswer = away;
  const refused = start();
  const banner = once(refused, "banner");
  const [error] = await once(refused, "error");
  beforeAnswer = async () => undefined;

  expect([String((await banner)[0]), String(error)]).toEqual([
    "Berth cannot check keys now: try again in a moment\r\n",
    "Error: All configured authentication methods failed",
  ]);
  expect((await said(await exec(await connect(), "cat"), "hello")).out).toBe("hello");
});

it("ends connections whose key was removed once the directory is back", async () => {
  const client = await connect();
  const closed = once(client, "close");
  beforeAnswer = away;
  await eventually(
    () => log.lines.length,
    (count) => count >= 2,
  );

  [beforeAnswer, admitted] = [async () => undefined, false];

  await closed;
});

it("checks connections again only after a slow check has ended", async () => {
  await connect();
  beforeAnswer = () => sleep(3_500);

  await eventually(
    () => asked,
    (count) => count >= 4,
  );

  expect(mostAtOnce).toBe(1);
});

it("survives a client that leaves while its key is looked up", async () => {
  const { promise: answered, resolve: answerAll } = Promise.withResolvers<void>();
  beforeAnswer = () => answered;
  const leaving = start().on("error", () => undefined);
  await eventually(
    () => asked,
    (count) => count >= 1,
  );

  const left = once(leaving, "close");
  leaving.destroy();
  await left;
  answerAll();

  expect((await said(await exec(await connect(), "cat"), "hello")).out).toBe("hello");
});

it("shows at a terminal why its environment ended before it ends the connection", async () => {
  const client = await connect();
  const terminal = await new Promise<ClientChannel>((resolve, reject) => {
    client.shell({ term: "xterm" }, (error, shell) => (error ? reject(error) : resolve(shell)));
  });
  terminal.write("begun");
  await once(terminal, "readable");
  const shown = text(terminal);

  notice = { kind: "end", words: "This environment has expired", at: 1 };
  admitted = false;

  expect(await shown).toContain("[berth] This environment has expired");
});
