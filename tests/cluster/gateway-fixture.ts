import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TableDirectoryFixture } from "#gateway/directory/table-directory-fixture.ts";
import { newSshKey, type SshKeyPair } from "#gateway/ssh/login/ssh-keys.ts";
import { type ClusterFixture, fixtureRun, openClusterFixture } from "#kubernetes/fixtures/cluster-fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { openGatewayRecords } from "./gateway-records.ts";

const login = "gpu-dev-one";

/** A run on a control plane, its record on DynamoDB, and a user with OpenSSH's client. */
export interface GatewayFixture {
  readonly cluster: ClusterFixture;
  readonly records: TableDirectoryFixture;
  readonly run: string;
  readonly login: string;
  readonly userKey: SshKeyPair;
  readonly tableEndpoint: string;
  /** Begins a further environment that the same key enters. There is room for eight. */
  begin(login: string): Promise<void>;
  startGateway(settings?: Readonly<Record<string, string>>): Promise<GatewayProcess>;
  /** Words of ssh for a gateway, up to the command. */
  sshWords(gateway: GatewayProcess): string[];
  ssh(gateway: GatewayProcess, command: string): Promise<{ readonly code: unknown; out: string; err: string }>;
  stop(): Promise<void>;
}

/** Settings of a gateway to which pods with tools connect. */
export const withTunnels = { POD_IP: "127.0.0.1", TUNNEL_PORT: "0" };

/** Pods have the programs of the tools image if `tools` is their folder. */
export async function openGatewayFixture(options: { readonly tools?: string } = {}): Promise<GatewayFixture> {
  const [cluster, { records, tableEndpoint, hostKey, startGateway, stop }] = await Promise.all([
    openClusterFixture(
      ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })),
      undefined,
      options,
    ),
    openGatewayRecords(Date.now()),
  ]);
  const folder = await mkdtemp(join(tmpdir(), "berth-gateway-user-"));
  const userKey = newSshKey();
  const begin = async (name: string, node: string): Promise<string> => {
    const begun = await records.begin({ login: name, keys: [userKey.public] });
    await startRun(cluster, begun, node);
    return begun;
  };
  const run = await begin(login, "one");
  const [identity, known] = [join(folder, "user-key"), join(folder, "hosts")];
  await writeFile(identity, userKey.private, { mode: 0o600 });
  await writeFile(known, `gateway ${hostKey}\n`);
  const kubeconfig = join(cluster.cluster.controlPlane.home, "berth.kubeconfig");
  const sshWords = ({ sshPort }: GatewayProcess) => [
    ...["-F", "/dev/null", "-i", identity, "-p", String(sshPort), "-o", `UserKnownHostsFile=${known}`],
    ...["-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=gateway", "-o", "BatchMode=yes"],
    ...["-o", "IdentitiesOnly=yes", "-o", "LogLevel=INFO", `${login}@127.0.0.1`],
  ];
  return {
    cluster,
    records,
    run,
    login,
    userKey,
    tableEndpoint,
    sshWords,
    begin: async (name) => void (await begin(name, "two")),
    startGateway: (changes = {}) => startGateway({ KUBECONFIG: kubeconfig, ...changes }),
    ssh: (gateway, command) => runToEnd("ssh", [...sshWords(gateway), command]),
    stop: async () => {
      await Promise.all([stop(), cluster.clear().then(() => cluster.stop())]);
      await rm(folder, { recursive: true });
    },
  };
}

/** Starts a run in a pod, under the uid of its record. */
async function startRun({ compute, eventually }: ClusterFixture, run: string, node: string): Promise<void> {
  const uid = run.slice(0, -"-r1".length);
  await compute.apply(fixtureRun({ uid, shares: [{ node, units: 1 }] }));
  await eventually(
    () => compute.observe(uid, 1),
    (seen) => seen?.state === "ready",
  );
}

function runToEnd(file: string, words: readonly string[]): ReturnType<GatewayFixture["ssh"]> {
  return new Promise((resolve) => {
    execFile(file, words, { timeout: PATIENCE_MS }, (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
  });
}
