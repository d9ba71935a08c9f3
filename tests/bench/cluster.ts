import { fileURLToPath } from "node:url";
import type { KubeObject } from "../cluster/client.ts";
import { type Cluster, startCluster } from "../cluster/cluster.ts";
import type { Pod } from "../cluster/kubelet/pod.ts";
import { applyManifests, readManifests } from "../cluster/manifests.ts";
import { getJobs, getPods } from "../cluster/objects.ts";
import { follow } from "../cluster/watch.ts";

export const namespace = "berth-environments";

/** Starts a control plane with pretend nodes. Their pods run nothing on this machine. */
export async function startBenchCluster(nodes: Readonly<Record<string, number>>): Promise<Cluster> {
  const cluster = await startCluster({
    // The default of a real cluster. The heartbeats of a thousand nodes would otherwise dominate.
    nodeGraceSeconds: 40,
    scriptOf: (pod) => ({ main: { ...getLife(pod.spec.containers[0]?.image ?? "") } }),
  });
  const manifests = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
  await applyManifests(cluster.admin, await readManifests(manifests));
  for (const [instanceType, count] of Object.entries(nodes)) {
    const named = Array.from({ length: count }, (_, at) => ({ name: `${instanceType}-${at}`, instanceType }));
    await cluster.addNodes(named);
  }
  return cluster;
}

export const imageThatEnds = (afterMs: number) => `berth.test/ends:${afterMs}`;
export const imageThatLives = "berth.test/lives:1";

function getLife(image: string): { readonly exitCode?: number; readonly afterMs?: number } {
  const [, afterMs] = /^berth\.test\/ends:(\d+)$/.exec(image) ?? [];
  return afterMs === undefined ? {} : { exitCode: 0, afterMs: Number(afterMs) };
}

/** Times at which the watch reported an event (ms since the epoch), by environment uid or Job name. */
export interface WatchedRuns {
  readonly created: ReadonlyMap<string, number>;
  readonly removed: ReadonlyMap<string, number>;
  readonly ended: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export function watchRuns({ admin }: Cluster, place = namespace): WatchedRuns {
  const [created, removed, ended] = [1, 2, 3].map(() => new Map<string, number>()) as [Times, Times, Times];
  const ending = new AbortController();
  const note = (times: Times, key: string) => times.has(key) || times.set(key, Date.now());
  const following = Promise.all([
    follow<KubeObject>(
      admin,
      getJobs(place),
      (type, { metadata }) => note(type === "DELETED" ? removed : created, formatUid(metadata, metadata.name)),
      ending.signal,
    ),
    follow<Pod>(
      admin,
      getPods(place),
      (_, { metadata, status }) => {
        const isOver = status.containerStatuses?.some(({ state }) => state.terminated !== undefined) ?? false;
        if (isOver) note(ended, formatUid(metadata, metadata.labels?.["batch.kubernetes.io/job-name"] ?? ""));
      },
      ending.signal,
    ),
  ]);
  return {
    created,
    removed,
    ended,
    async stop() {
      ending.abort();
      await following;
    },
  };
}

type Times = Map<string, number>;

function formatUid({ labels }: KubeObject["metadata"], otherwise: string): string {
  return labels?.["berth/uid"] ?? otherwise;
}
