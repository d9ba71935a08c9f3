import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ComputeNode } from "#core/context.ts";
import { type Cluster, startCluster } from "#testing/cluster/cluster.ts";
import { applyManifests, readManifests } from "#testing/cluster/manifests.ts";
import type { NodeOptions } from "#testing/cluster/pretend-node.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import { type KubernetesCompute, kubernetesCompute } from "./compute.ts";

export const namespace = "berth-environments";

/** The driver on a real control plane, with no more rights than `deploy/kubernetes` gives it. */
export interface ClusterTrial {
  readonly cluster: Cluster;
  readonly client: ApiClient;
  readonly compute: KubernetesCompute;
  /** As the port shows them. */
  readonly nodes: readonly ComputeNode[];
  /** Outside of every pod. */
  readonly files: string;
  /** Ends every run, and returns when nothing of them is left. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** Commands run as processes of this machine. */
export async function openClusterTrial(nodes: readonly NodeOptions[]): Promise<ClusterTrial> {
  const cluster = await startCluster({ scriptOf: () => ({ main: { process: true } }) });
  await applyManifests(
    cluster.admin,
    await readManifests(fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url))),
  );
  await cluster.addNodes(nodes);
  const { url, ca, token } = cluster.controlPlane.accessOf("berth");
  const client = apiClient({ url, ca, token: async () => token });
  const compute = kubernetesCompute({ client, namespace, now: Date.now, machineOf: async () => "running" });
  const files = await mkdtemp(join(tmpdir(), "berth-cluster-trial-"));
  return {
    cluster,
    client,
    compute,
    nodes: await readyNodes(compute),
    files,
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
async function readyNodes(compute: KubernetesCompute): Promise<ComputeNode[]> {
  for (;;) {
    const nodes = await compute.listNodes();
    if (nodes.every(({ ready }) => ready)) return nodes;
    await sleep(50);
  }
}
