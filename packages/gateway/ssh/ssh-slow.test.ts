import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { startHomeSsh } from "#local/home-ssh.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import type { SshDirectory } from "../ports/directory.ts";
import type { Reach } from "../ports/reach.ts";
import { newSshKey } from "./login/ssh-keys.ts";
import type { SshServer } from "./ssh.ts";
import { connectSsh } from "./ssh-fixture.ts";

const key = newSshKey();
let home: string;
let server: SshServer;

async function start(loginWithinMs: number): Promise<void> {
  home = mkdtempSync("/var/tmp/berth-ssh-");
  const directory = {
    find: async () => [{ name: "run", keys: [key.public] }],
    admits: async () => true,
  } as Partial<SshDirectory> as SshDirectory;
  server = await startHomeSsh({ home, directory, reach: {} as Reach, port: 0, log: silentLog(), loginWithinMs });
}
afterEach(async () => {
  await server.stop();
  rmSync(home, { recursive: true });
});

async function open(): Promise<Socket> {
  const socket = dial({ port: server.port, host: "127.0.0.1", noDelay: true }).on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

it("cuts off a client at the limit of a login, although it sends a byte now and then", async () => {
  await start(300);
  const socket = await open();
  const name = "SSH-2.0-slow";
  // `once` of node:events would fail with the reset that a byte on its way to the closed connection gets.
  const closed = new Promise((resolve) => socket.resume().once("close", resolve));
  let sent = 0;

  const trickle = setInterval(() => socket.write(name[sent++] ?? "x"), 20);
  await closed;
  clearInterval(trickle);

  // A longer name would be refused by itself (RFC 4253, 4.2).
  expect(sent).toBeLessThan(255);
});

it("logs in a client whose bytes arrive one by one", async () => {
  await start(2 * PATIENCE_MS);
  let turns = 0;
  const relay = createServer(async (outside) => {
    outside.on("error", () => undefined);
    const inside = await open();
    inside.pipe(outside);
    for await (const bytes of outside as AsyncIterable<Buffer>) {
      for (const byte of bytes) {
        inside.write(Buffer.of(byte));
        turns += 1;
        await nextTurn();
      }
    }
  });
  await once(relay.listen(0, "127.0.0.1"), "listening");
  const clients = new Set<Awaited<ReturnType<typeof connectSsh>>>();
  const { port } = relay.address() as AddressInfo;

  const client = await connectSsh({ port, username: "one", privateKey: key.private }, clients);
  client.destroy();
  relay.close();

  expect(turns).toBeGreaterThan(1_000);
});
