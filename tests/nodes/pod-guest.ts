import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Client } from "ssh2";
import { podReach } from "#gateway/pods/pod-reach.ts";
import { newSshKey, type SshKeyPair } from "#gateway/ssh/login/ssh-keys.ts";
import { connectSsh } from "#gateway/ssh/ssh-fixture.ts";
import { runEntry } from "#kubernetes/access/run-entry.ts";
import { parseRunName } from "#kubernetes/names.ts";
import { findFreePort } from "#process/network/local-ports.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { type GatewayRecords, openGatewayRecords } from "../cluster/gateway-records.ts";
import { openSshClients } from "../conformance/openssh/clients.ts";
import type { SshGuest } from "../conformance/openssh/guest.ts";
import type { OpenNoticeGuest } from "../conformance/openssh/notices.ts";
import { pythonPrograms } from "../conformance/openssh/socket-programs.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { leadToMachine } from "./serve-tunnels.ts";

/** Pods on a real node behind the program of the gateway, which reads their records in a table. */
export interface EnteredPods {
  /** Returns a guest of the pod that all guests share, with a key and files of its own. */
  open(): Promise<SshGuest>;
  /** Returns a guest with a pod of its own. */
  openNoticeGuest: OpenNoticeGuest;
  close(): Promise<void>;
}

/** Keys that an environment admits at most. They exist from the start, as a gateway may read a login only every 5 s. */
const MOST_KEYS = 64;

/** Pods that a gateway enters by tunnels. */
export async function openEnteredPods(): Promise<EnteredPods> {
  const { archive } = await buildToolsImage(process.env);
  const nodes = [{ name: "one", instanceType: "p5.48xlarge" }];
  const [fixture, gateway] = await Promise.all([
    openDriverFixture({ nodes, archives: [archive], toolsImage }),
    openGatewayRecords(Date.now()),
  ]);
  const pods = { fixture, records: gateway.records };
  const keys = Array.from({ length: MOST_KEYS }, newSshKey);
  const login = newLogin();
  const run = await begin(pods, { login, keys });
  const kubeconfig = join(fixture.cluster.controlPlane.home, "berth.kubeconfig");
  const [node, tunnelPort] = [fixture.getNode("one"), await findFreePort()];
  const { sshPort: port } = await gateway.startGateway({
    KUBECONFIG: kubeconfig,
    POD_IP: node.address,
    TUNNEL_PORT: String(tunnelPort),
  });
  await leadToMachine(node, new URL(fixture.cluster.admin.access.url).hostname, tunnelPort);
  return {
    open: async () => {
      const key = keys.pop();
      if (!key) throw new Error("No key is left for a guest");
      const shutOut = () => gateway.records.removeKey(login, key.public);
      return openGuest({ port, login, key, shutOut, countProcesses: () => countProcesses(fixture, run) });
    },
    openNoticeGuest: async ({ hasDisk }) => openNoticeGuest(pods, port, hasDisk),
    close: async () => {
      await gateway.stop();
      await fixture.stop();
    },
  };
}

interface Pods extends Pick<GatewayRecords, "records"> {
  readonly fixture: DriverFixture;
}

interface BeginOptions {
  readonly login: string;
  readonly keys: readonly SshKeyPair[];
  readonly hasDisk?: boolean;
}

const newLogin = () => `gpu-dev-${randomBytes(4).toString("hex")}`;

/** Begins an environment with its record and its pod, and returns the name of its run. */
async function begin({ fixture, records }: Pods, { login, keys, hasDisk }: BeginOptions): Promise<string> {
  const admitted = keys.map((key) => key.public);
  const name = await records.begin({ login, keys: admitted, ...(hasDisk && { hasDisk }) });
  const run = await fixture.applied({ uid: parseRunName(name).uid, command: undefined });
  await fixture.until(run, (seen) => seen?.state === "ready");
  return name;
}

async function countProcesses({ computeOptions }: DriverFixture, run: string): Promise<number> {
  const reach = podReach(runEntry(computeOptions), (name) => ({ id: parseRunName(name), sessions: new Set() }));
  const counting = { program: { command: "ls -d /proc/[0-9]* | wc -l" }, env: {}, terminal: undefined };
  const { output, hangUp } = await reach.start(run, counting);
  const count = await text(output);
  void hangUp();
  return Number(count);
}

interface GuestPlace extends Pick<SshGuest, "countProcesses" | "shutOut" | "key"> {
  readonly port: number;
  readonly login: string;
}

function openGuest({ port, login, key, countProcesses, shutOut }: GuestPlace): SshGuest {
  const root = mkdtempSync(join(tmpdir(), "berth-guest-"));
  const clients = openSshClients({ root, key, login, port });
  const connections = new Set<Client>();
  const own = randomBytes(4).toString("hex");
  return {
    ...clients,
    root,
    key,
    sockets: pythonPrograms,
    // The image's user is root.
    mayUseLowPorts: true,
    pathInside: (name) => `/tmp/${own}-${name}`,
    countProcesses,
    shutOut,
    connect: (changes = {}) => connectSsh({ port, username: login, privateKey: key.private, ...changes }, connections),
    close: async () => {
      for (const client of connections) client.destroy();
      clients.close();
      rmSync(root, { recursive: true });
    },
  };
}

async function openNoticeGuest(pods: Pods, port: number, hasDisk: boolean): ReturnType<OpenNoticeGuest> {
  const [login, key] = [newLogin(), newSshKey()];
  const run = await begin(pods, { login, keys: [key], hasDisk });
  const connections = new Set<Client>();
  const { fixture, records } = pods;
  return {
    connect: (changes = {}) => connectSsh({ port, username: login, privateKey: key.private, ...changes }, connections),
    warn: () => records.warn(run),
    extend: () => records.extend(run),
    end: () => records.end(run),
    close: async () => {
      for (const client of connections) client.destroy();
      await fixture.compute.remove(parseRunName(run).uid, 1, { graceSeconds: 0, force: false });
    },
  };
}
