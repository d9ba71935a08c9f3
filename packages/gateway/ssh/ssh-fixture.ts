import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from "ssh2";
import type { Run } from "#core/ports/compute.ts";
import { startHomeSsh } from "#local/home-ssh.ts";
import { sandboxPorts } from "#local/sandbox/sandbox-ports.ts";
import { eventually, type Fixture, openFixture } from "#process/fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import type { Isolation } from "#process/runs/records.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { newSshKey, type SshKeyPair } from "./login/ssh-keys.ts";
import type { SshServer } from "./ssh.ts";

export interface Said {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly out: string;
  readonly err: string;
}

/** A run with an SSH server in front, for tests; closing it fails when a process is left. */
export interface SshFixture extends Fixture {
  readonly server: SshServer;
  readonly login: string;
  readonly key: SshKeyPair;
  /** Starts the run and lets the fixture's key in. */
  begin(changes?: Partial<Run>): Promise<void>;
  connect(changes?: ConnectConfig): Promise<Client>;
  /** Runs one command on its own connection. */
  say(command: string, input?: string): Promise<Said>;
}

export async function openSshFixture(isolation: Isolation): Promise<SshFixture> {
  const fixture = openFixture({ isolation });
  const server = await startHomeSsh({
    home: fixture.home,
    ...sandboxPorts(fixture.home),
    port: 0,
    log: silentLog(),
    loginWithinMs: 2 * PATIENCE_MS,
    visitMs: 2 * PATIENCE_MS,
  });
  const login = `gpu-dev-${randomBytes(4).toString("hex")}`;
  const key = newSshKey();
  const connections = new Set<Client>();
  const connect = (changes: ConnectConfig = {}) =>
    connectSsh({ port: server.port, username: login, privateKey: key.private, ...changes }, connections);
  return {
    ...fixture,
    server,
    login,
    key,
    connect,
    begin: async (changes) => {
      await fixture.compute.apply(fixture.runOf({ command: undefined, ...changes }));
      await eventually(fixture.observe, (seen) => seen?.state === "ready");
      await fixture.compute.setAccess(fixture.uid, 1, { revision: 1, login, keys: [key.public], jupyter: null });
    },
    say: async (command, input = "") => said(await exec(await connect(), command), input),
    close: async () => {
      for (const client of connections) client.destroy();
      await server.stop();
      await fixture.close();
    },
  };
}

/** Connects a client to this machine, and adds it to those that the caller destroys. */
export async function connectSsh(config: ConnectConfig, connections: Set<Client>): Promise<Client> {
  // A client that was refused may report the end of its connection as a second error.
  const client = new ssh2.Client().on("error", () => undefined);
  connections.add(client);
  const ready = once(client, "ready");
  // On a busy machine, a hundred concurrent logins take longer than a client's default limit.
  client.connect({ host: "127.0.0.1", readyTimeout: 2 * PATIENCE_MS, ...config });
  await ready;
  return client;
}

/** A file with a private key, as the OpenSSH client wants it. */
export function keyFile(directory: string, { private: ownName }: SshKeyPair): string {
  const path = join(directory, `key-${randomBytes(4).toString("hex")}`);
  writeFileSync(path, ownName, { mode: 0o600 });
  return path;
}

/** How channels ended, by channel. */
const ends = new WeakMap<ClientChannel, { readonly code: number | undefined; readonly signal: string | undefined }>();

export function exec(client: Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) return reject(error);
      // The exit may arrive before the caller's `await` continues.
      channel.on("exit", (code: number | null, signal?: string) =>
        ends.set(channel, { code: code ?? undefined, signal }),
      );
      resolve(channel);
    });
  });
}

/** Everything that a channel says until it is closed. */
export async function said(channel: ClientChannel, input = ""): Promise<Said> {
  const texts = { out: "", err: "" };
  channel.on("data", (part: Buffer) => {
    texts.out += part.toString();
  });
  channel.stderr.on("data", (part: Buffer) => {
    texts.err += part.toString();
  });
  channel.end(input);
  await once(channel, "close");
  return { ...(ends.get(channel) ?? { code: undefined, signal: undefined }), ...texts };
}
