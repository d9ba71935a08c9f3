import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Client } from "ssh2";
import { RunGone } from "#core/problem.ts";
import { podReach } from "#gateway/pods/pod-reach.ts";
import type { SshDirectory } from "#gateway/ports/directory.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { startSsh } from "#gateway/ssh/ssh.ts";
import { connectSsh } from "#gateway/ssh/ssh-fixture.ts";
import { runEntry } from "#kubernetes/access/run-entry.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { openSshClients } from "../conformance/openssh/clients.ts";
import type { SshGuest } from "../conformance/openssh/guest.ts";
import { pythonPrograms } from "../conformance/openssh/socket-programs.ts";
import { silentLog } from "../fixtures/log.ts";
import { openDriverFixture } from "./driver-fixture.ts";

/** One pod on a real node behind an SSH server, which any number of guests share. */
export interface EnteredPod {
  /** Returns a guest with a login, a key and files of its own. */
  open(): Promise<SshGuest>;
  close(): Promise<void>;
}

export async function openEnteredPod(): Promise<EnteredPod> {
  const { archive } = await buildToolsImage(process.env);
  const nodes = [{ name: "one", instanceType: "p5.48xlarge" }];
  const fixture = await openDriverFixture({ nodes, archives: [archive], toolsImage });
  const run = await fixture.applied({ command: undefined });
  await fixture.until(run, (seen) => seen?.state === "ready");
  const id = { uid: run.uid, run: 1 };
  const reach = podReach(runEntry(fixture.computeOptions), (name) => {
    if (name !== nameOfRun(id)) throw new RunGone();
    return { id, sessions: new Set() };
  });
  /** Keys by login. */
  const keys = new Map<string, string>();
  const directory: SshDirectory = {
    find: async (login) => [{ name: nameOfRun(id), keys: [keys.get(login) ?? ""].filter(Boolean) }],
    admits: async ({ login }, key) => keys.get(login) === key,
    findEnded: async () => undefined,
    findNotice: async () => undefined,
    hasNoDisk: async () => false,
  };
  const server = await startSsh({
    directory,
    reach,
    hostKey: newSshKey().private,
    listen: listenAnywhere,
    log: silentLog(),
  });
  const countProcesses = async () => {
    const counting = { program: { command: "ls -d /proc/[0-9]* | wc -l" }, env: {}, terminal: undefined };
    const { output, hangUp } = await reach.start(nameOfRun(id), counting);
    const count = await text(output);
    void hangUp();
    return Number(count);
  };
  return {
    open: async () => openGuest({ port: server.port, keys, countProcesses }),
    close: async () => {
      await server.stop();
      await fixture.stop();
    },
  };
}

interface GuestPlace extends Pick<SshGuest, "countProcesses"> {
  readonly port: number;
  /** Admitted keys by login. */
  readonly keys: Map<string, string>;
}

function openGuest({ port, keys, countProcesses }: GuestPlace): SshGuest {
  const login = `gpu-dev-${randomBytes(4).toString("hex")}`;
  const key = newSshKey();
  keys.set(login, key.public);
  const root = mkdtempSync(join(tmpdir(), "berth-guest-"));
  const clients = openSshClients({ root, key, login, port });
  const connections = new Set<Client>();
  return {
    ...clients,
    root,
    key,
    sockets: pythonPrograms,
    // The image's user is root.
    mayUseLowPorts: true,
    pathInside: (name) => `/tmp/${login}-${name}`,
    countProcesses,
    shutOut: async () => void keys.delete(login),
    connect: (changes = {}) => connectSsh({ port, username: login, privateKey: key.private, ...changes }, connections),
    close: async () => {
      for (const client of connections) client.destroy();
      clients.close();
      rmSync(root, { recursive: true });
    },
  };
}

async function listenAnywhere(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}
