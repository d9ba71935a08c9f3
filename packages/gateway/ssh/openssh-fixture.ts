import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { VolumeRef } from "#core/ports/volumes.ts";
import { listProcesses } from "#process/fixture.ts";
import type { Isolation } from "#process/runs/records.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { processVolumes } from "#process/volumes/volumes.ts";
import { openSshClients } from "#tests/conformance/openssh/clients.ts";
import type { SshGuest } from "#tests/conformance/openssh/guest.ts";
import { nodePrograms } from "#tests/conformance/openssh/socket-programs.ts";
import { openSshFixture, type SshFixture } from "./ssh-fixture.ts";

/** A run in a sandbox with an SSH server in front, and the programs of OpenSSH before it, for tests. */
export interface OpenSshFixture extends SshFixture, SshGuest {
  /** The Node that processes of the run see. */
  readonly nodeInside: string;
}

const programs = {
  ssh: ["-V"],
  sftp: ["-?"],
  scp: ["-?"],
  "ssh-agent": ["-?"],
  "ssh-add": ["-?"],
  "ssh-keygen": ["-?"],
};

/** Returns the program that this machine lacks, or undefined. */
export function openSshLacks(isolation: Isolation): string | undefined {
  const missing = Object.entries(programs).find(([name, words]) => spawnSync(name, words, { stdio: "ignore" }).error);
  if (missing) return `this machine has no ${missing[0]}`;
  return isolation === "bubblewrap" && !canSandbox() ? "this machine has no bubblewrap that works" : undefined;
}

/** `env`: the variables that a tenant gave to the run; `disk`: where its disk is mounted, if it has one. */
export async function openOpenSshFixture(
  isolation: Isolation,
  env: Readonly<Record<string, string>> = {},
  disk?: string,
): Promise<OpenSshFixture> {
  const fixture = await openSshFixture(isolation);
  await fixture.begin({ env, mounts: disk === undefined ? [] : [{ volume: await newVolume(fixture), path: disk }] });
  const { root, key, login, server } = fixture;
  const clients = openSshClients({ root, key, login, port: server.port });
  const nodeInside = isolation === "none" ? process.execPath : join(fixture.home, "tools/node");
  return {
    ...fixture,
    ...clients,
    nodeInside,
    sockets: nodePrograms(nodeInside),
    // Without a sandbox, a run has all rights of the stack's user.
    mayUseLowPorts: isolation === "none" && process.getuid?.() === 0,
    // In a directory that only the run has, even without a sandbox.
    pathInside: (name) => (isolation === "none" ? join(root, name) : `/tmp/${name}`),
    countProcesses: async () => listProcesses(fixture.home, fixture.uid).length,
    shutOut: () => fixture.compute.setAccess(fixture.uid, 1, { revision: 1, login, keys: [], jupyter: null }),
    close: async () => {
      clients.close();
      await fixture.close();
    },
  };
}

function newVolume({ home }: SshFixture): Promise<VolumeRef> {
  return processVolumes({ home }).createVolume({ token: "disk", sizeGb: 1, zone: "local", snapshotId: undefined });
}
