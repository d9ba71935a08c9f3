import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Compute, ComputeNode, Run } from "#core/ports/compute.ts";
import { type Cluster, startCluster } from "#testing/cluster/cluster.ts";
import type { ControlPlaneOptions } from "#testing/cluster/control-plane.ts";
import type { KubeletOptions } from "#testing/cluster/kubelet.ts";
import { applyManifests, readManifests } from "#testing/cluster/manifests.ts";
import type { Pod } from "#testing/cluster/pod.ts";
import type { NodeOptions, PretendNode } from "#testing/cluster/pretend-node.ts";
import type { ContainerScript } from "#testing/cluster/script.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import { type KubernetesComputeOptions, kubernetesCompute } from "./compute.ts";

export const namespace = "berth-environments";

/** Volumes that wait until it happens, however slow the machine is: a core would try again instead. */
export const unhurried = { now: Date.now, goneWithinMs: 100_000 } as const;

/** What an image of this name does in place of its command. */
const images: Readonly<Record<string, ContainerScript>> = {
  "berth.test/none:1": { pull: "fails" },
  "berth.test/late:1": { pull: "fails once", process: true },
  "berth.test/shell-less:1": { start: "fails" },
  "berth.test/greedy:1": { oom: true },
  "berth.test/lost-log:1": { process: true, log: "missing" },
  "berth.test/late-log:1": { process: true, log: "missing once" },
  "berth.test/endless-pull:1": { startMs: 3_600_000 },
};

/** The driver on a real control plane, with no more rights than `deploy/kubernetes` gives it. */
export interface ClusterFixture {
  readonly cluster: Cluster;
  /** In the order in which they were asked for. */
  readonly pretendNodes: readonly PretendNode[];
  readonly client: ApiClient;
  readonly options: KubernetesComputeOptions;
  readonly compute: Compute;
  /** As the port shows them. */
  readonly nodes: readonly ComputeNode[];
  /** Reads until it holds what was waited for. */
  eventually<Value>(read: () => Promise<Value>, holds: (value: Value) => boolean): Promise<Value>;
  /** Outside of every pod. */
  readonly files: string;
  /** Ends every run, and returns when nothing of them is left. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** Commands run as processes of this machine, unless `scriptOf` or their image says that they do something else. */
export async function openClusterFixture(
  nodes: readonly NodeOptions[],
  scriptOf: (pod: Pod) => ContainerScript | undefined = () => undefined,
  options: Pick<KubeletOptions, "snapshots" | "tools" | "mountsDisks"> &
    Pick<ControlPlaneOptions, "nodePorts" | "tokenReviews"> = {},
): Promise<ClusterFixture> {
  const cluster = await startCluster({
    ...options,
    scriptOf: (pod) => ({
      tools: { process: true },
      main: scriptOf(pod) ?? images[pod.spec.containers[0]?.image ?? ""] ?? { process: true },
    }),
  });
  await applyManifests(
    cluster.admin,
    await readManifests(fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url))),
  );
  const pretendNodes = await cluster.addNodes(nodes);
  const { url, ca, token } = cluster.controlPlane.accessOf("berth");
  const client = apiClient({ url, ca, token: async () => token, deadlineMs: 60_000 });
  const computeOptions: KubernetesComputeOptions = {
    client,
    namespace,
    deployment: "fixture",
    now: Date.now,
    machineOf: async () => "running",
    toolsImage: options.tools && "berth.test/tools:1",
  };
  const compute = kubernetesCompute(computeOptions);
  const files = await mkdtemp(join(tmpdir(), "berth-cluster-fixture-"));
  return {
    cluster,
    pretendNodes,
    client,
    options: computeOptions,
    compute,
    nodes: await readyNodes(compute),
    files,
    async eventually(read, holds) {
      for (;;) {
        const value = await read();
        if (holds(value)) return value;
        await sleep(50);
      }
    },
    async clear() {
      for (;;) {
        const runs = await compute.listRuns();
        if (runs.length === 0) return;
        await Promise.all(runs.map(({ uid, run }) => compute.remove(uid, run, { graceSeconds: 0, force: false })));
        await sleep(50);
      }
    },
    async stop() {
      client.close();
      await cluster.stop();
      await rm(files, { recursive: true });
    },
  };
}

/** A node that comes is closed until the controllers have seen that it is ready. */
async function readyNodes(compute: Compute): Promise<ComputeNode[]> {
  for (;;) {
    const nodes = await compute.listNodes();
    if (nodes.every(({ ready }) => ready)) return nodes;
    await sleep(50);
  }
}

/** A run of an image that every pretend node has: one unit of node `one`, for an hour. */
export function fixtureRun(changes: Partial<Run> = {}): Run {
  return {
    uid: randomBytes(16).toString("hex"),
    run: 1,
    key: "owner#o#env#gpu-dev|j",
    name: "training",
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: "berth.test/any:1",
    command: "while :; do sleep 1; done",
    env: {},
    shares: [{ node: "one", units: 1 }],
    gpusPerMachine: 1,
    mounts: [],
    ports: [],
    resources: null,
    until: Date.now() + 3_600_000,
    ...changes,
  };
}
