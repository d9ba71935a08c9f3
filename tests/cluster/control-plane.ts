import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { apiserverFlags, writeTokenReviews } from "./apiserver-flags.ts";
import type { Access } from "./client.ts";
import { kubeClient } from "./client.ts";
import { type Part, runToEnd, startPart } from "./part.ts";
import { type Sweeper, startSweeper } from "./sweeper.ts";

/**
 * Users of the API server. `admin` and `kubelet` may do anything, `nobody` nothing, and `berth` and `commands` what
 * their groups were granted, as with access entries of EKS.
 */
const users = {
  admin: { name: "admin", group: "system:masters" },
  kubelet: { name: "kubelet", group: "system:masters" },
  berth: { name: "berth", group: "berth:controller" },
  commands: { name: "commands", group: "berth:commands" },
  nobody: { name: "nobody", group: "" },
  // The controllers have no accounts of their own, so this user has all their rights.
  controllers: { name: "system:kube-controller-manager", group: "system:masters" },
  scheduler: { name: "system:kube-scheduler", group: "" },
} as const satisfies Record<string, { name: string; group: string }>;

export type ClusterUser = keyof typeof users;

export type PartName = "etcd" | "apiserver" | "controller-manager" | "scheduler";

export interface ControlPlaneOptions {
  /** Address that the API server listens on, by default 127.0.0.1. */
  readonly address?: string;
  /** Silence after which a node is not ready, in seconds. A real cluster has 40. */
  readonly nodeGraceSeconds?: number;
  /** Address of a TokenReview webhook for unknown tokens, as EKS asks IAM. */
  readonly tokenReviews?: string;
  /** Range of node ports, such as `30000-30001`. The default has 2,768. */
  readonly nodePorts?: string;
  /** Whether its controller manager attaches volumes to nodes. Default: no, since pretend nodes mount without that. */
  readonly attachesVolumes?: boolean;
  /** Whether its controller manager runs Deployments and DaemonSets. Default: no. */
  readonly runsDeployments?: boolean | undefined;
}

/** Running control plane: etcd, API server, scheduler, controller manager. */
export interface ControlPlane {
  readonly nodeGraceSeconds: number;
  getAccess(user: ClusterUser): Access;
  /** Key pair of the API server, with which a pretend kubelet serves too. */
  readonly serving: { readonly cert: string; readonly key: string };
  /** Directory of data, certificates and logs. */
  readonly home: string;
  readonly processIds: readonly number[];
  /**
   * Ends a process group with the control plane, however this process ends. Returns a function that takes this back.
   */
  guard(processGroup: number): () => void;
  /** Kills a part with SIGKILL and starts it again. Returns when the API server is ready. */
  restart(part: PartName): Promise<void>;
  /** Suspends a part until it is resumed. */
  pause(part: PartName): void;
  resume(part: PartName): void;
  /** Ends the processes and removes the directory. */
  stop(): Promise<void>;
}

/** Starts the four parts of the binary in a new directory. Throws with the log of a part that does not start. */
export async function startControlPlane(binary: string, options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const home = await mkdtemp(join(tmpdir(), "berth-cluster-"));
  const parts: Part[] = [];
  const sweeper = startSweeper(binary, home);
  const stop = async () => {
    // Clients end before their servers, so none waits for one that is gone.
    for (const part of parts.toReversed()) await part.stop();
    await sweeper.sweep();
    // The sweeper does this unless it could not start.
    await rm(home, { recursive: true, force: true });
  };
  try {
    const { address = "127.0.0.1", nodeGraceSeconds = 4, nodePorts, tokenReviews, ...controllers } = options;
    const { attachesVolumes = false, runsDeployments = false } = controllers;
    const settings = { address, nodeGraceSeconds, nodePorts, tokenReviews, attachesVolumes, runsDeployments };
    return await startParts(binary, { home, parts, sweeper, stop, ...settings });
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Starting {
  readonly home: string;
  readonly parts: Part[];
  readonly sweeper: Sweeper;
  readonly address: string;
  readonly nodeGraceSeconds: number;
  readonly nodePorts: string | undefined;
  readonly tokenReviews: string | undefined;
  readonly attachesVolumes: boolean;
  readonly runsDeployments: boolean;
  stop(): Promise<void>;
}

async function startParts(binary: string, starting: Starting): Promise<ControlPlane> {
  const { home, parts, sweeper, address, nodeGraceSeconds, nodePorts, tokenReviews, stop } = starting;
  const tokens = await writeTokens(home);
  await mkdir(join(home, "certs"));
  await runToEnd(binary, ["signing-key", join(home, "signing.key")]);
  await runToEnd(binary, ["client-pair", home]);
  const start = (name: PartName, args: readonly string[]) => {
    const part = startPart(binary, name, args, home);
    parts.push(part);
    return part;
  };

  const etcd = start("etcd", [`--dir=${join(home, "etcd")}`, `--socket=${join(home, "etcd.sock")}`]);
  const port = await freePort(address);
  if (tokenReviews !== undefined) await writeTokenReviews(home, tokenReviews);
  const apiserver = start("apiserver", apiserverFlags({ home, address, port, nodePorts, tokenReviews }));
  const url = `https://${address}:${port}`;
  const isReady = () => ready([etcd, apiserver], url, home, tokens.admin);
  await isReady();
  const [cert, key] = await Promise.all(
    ["crt", "key"].map((kind) => readFile(join(home, "certs", `apiserver.${kind}`), "utf8")),
  );
  if (cert === undefined || key === undefined) throw new Error("The API server wrote no certificate");
  const accessOf = (user: ClusterUser) => ({ url, ca: cert, token: tokens[user] });
  await writeKubeconfigs(home, accessOf);
  const buildPart = (name: PartName): Part => {
    const part = parts.find((part) => part.name === name);
    if (!part) throw new Error(`The control plane has no ${name}`);
    return part;
  };
  start("controller-manager", controllerFlags(starting));
  start("scheduler", [`--config=${join(home, "scheduler.json")}`, "--secure-port=0"]);
  return {
    nodeGraceSeconds,
    getAccess: accessOf,
    serving: { cert, key },
    home,
    get processIds() {
      return parts.map(({ pid }) => pid);
    },
    guard: (processGroup) => sweeper.guard(processGroup),
    async restart(name) {
      await buildPart(name).restart();
      await isReady();
    },
    pause: (name) => process.kill(buildPart(name).pid, "SIGSTOP"),
    resume: (name) => process.kill(buildPart(name).pid, "SIGCONT"),
    stop,
  };
}

async function writeTokens(home: string): Promise<Record<ClusterUser, string>> {
  const names = Object.keys(users) as ClusterUser[];
  const tokens = Object.fromEntries(names.map((user) => [user, randomBytes(24).toString("hex")]));
  const lines = names.map((user, at) => `${tokens[user]},${users[user].name},${at},"${users[user].group}"\n`);
  await writeFile(join(home, "tokens.csv"), lines.join(""), { mode: 0o600 });
  return tokens as Record<ClusterUser, string>;
}

/** Writes the kubeconfigs as JSON, which is YAML. */
async function writeKubeconfigs(home: string, getAccess: (user: ClusterUser) => Access): Promise<void> {
  const write = (name: string, content: object) =>
    writeFile(join(home, name), JSON.stringify(content), { mode: 0o600 });
  const kubeconfig = ({ url, token }: Access) => ({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "bench",
    contexts: [{ name: "bench", context: { cluster: "bench", user: "bench" } }],
    clusters: [
      { name: "bench", cluster: { server: url, "certificate-authority": join(home, "certs", "apiserver.crt") } },
    ],
    users: [{ name: "bench", user: { token } }],
  });
  await Promise.all([
    ...(Object.keys(users) as ClusterUser[]).map((user) => write(`${user}.kubeconfig`, kubeconfig(getAccess(user)))),
    write("scheduler.json", {
      apiVersion: "kubescheduler.config.k8s.io/v1",
      kind: "KubeSchedulerConfiguration",
      leaderElection: { leaderElect: false },
      clientConnection: { kubeconfig: join(home, "scheduler.kubeconfig"), qps: 500, burst: 1000 },
      podInitialBackoffSeconds: 1,
      podMaxBackoffSeconds: 2,
    }),
  ]);
}

function controllerFlags({ home, nodeGraceSeconds, attachesVolumes, runsDeployments }: Starting): string[] {
  const controllers = [
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "persistentvolume-protection-controller",
    "resourcequota-controller",
    "endpointslice-controller",
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "disruption-controller",
    "ttl-after-finished-controller",
    "clusterrole-aggregation-controller",
    ...(attachesVolumes ? ["persistentvolume-attach-detach-controller"] : []),
    ...(runsDeployments ? ["deployment-controller", "replicaset-controller", "daemonset-controller"] : []),
  ];
  return [
    `--kubeconfig=${join(home, "controllers.kubeconfig")}`,
    "--leader-elect=false",
    "--secure-port=0",
    "--use-service-account-credentials=false",
    "--node-monitor-period=500ms",
    `--node-monitor-grace-period=${nodeGraceSeconds}s`,
    "--pvclaimbinder-sync-period=1s",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    "--concurrent-job-syncs=10",
    `--controllers=${controllers.join(",")}`,
  ];
}

/** Waits until the API server is ready. Throws with the log of a part that ends first. */
async function ready(parts: readonly Part[], url: string, home: string, token: string): Promise<void> {
  while (!parts.some((part) => part.hasEnded())) {
    const ca = await readFile(join(home, "certs", "apiserver.crt"), "utf8").catch(() => undefined);
    if (ca !== undefined && (await saysReady({ url, ca, token }))) return;
    await sleep(25);
  }
  const logs = await Promise.all(parts.filter((part) => part.hasEnded()).map((part) => part.log()));
  throw new Error(`The control plane did not start:\n${logs.join("\n")}`);
}

async function saysReady(access: Access): Promise<boolean> {
  const client = kubeClient(access);
  const answer = await client.get<unknown>("/readyz").catch(() => undefined);
  client.close();
  return answer?.status === 200;
}

/** Returns a port that was free a moment ago, because the API server cannot choose one. */
async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("No port was given");
  return address.port;
}
