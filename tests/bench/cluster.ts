import { fileURLToPath } from "node:url";
import { isTombstone } from "#kubernetes/runs/tombstone.ts";
import type { KubeObject } from "../cluster/client.ts";
import { type Cluster, startCluster } from "../cluster/cluster.ts";
import type { Pod } from "../cluster/kubelet/pod.ts";
import { applyManifests, readManifests } from "../cluster/manifests.ts";
import { getJobs, getPods, type Job } from "../cluster/objects.ts";
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
  /** Ends of the commands. */
  readonly ended: ReadonlyMap<string, number>;
  /** Times at which a Job was complete. */
  readonly completed: ReadonlyMap<string, number>;
  /** Times at which a pod was gone. Its Job may stay as a tombstone. */
  readonly removed: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export function watchRuns({ admin }: Cluster, place = namespace): WatchedRuns {
  const [created, removed] = [new Map<string, number>(), new Map<string, number>()];
  const [ended, completed] = [new Map<string, number>(), new Map<string, number>()];
  const ending = new AbortController();
  const note = (times: Times, key: string) => times.has(key) || times.set(key, Date.now());
  const following = Promise.all([
    follow<Job>(
      admin,
      getJobs(place),
      (_, job) => {
        if (isTombstone(job)) return;
        note(created, formatUid(job.metadata, job.metadata.name));
        const isComplete = job.status?.conditions?.some(({ type }) => type === "Complete") ?? false;
        if (isComplete) note(completed, formatUid(job.metadata, job.metadata.name));
      },
      ending.signal,
    ),
    follow<Pod>(
      admin,
      getPods(place),
      (type, { metadata, status }) => {
        const uid = formatUid(metadata, metadata.labels?.["batch.kubernetes.io/job-name"] ?? "");
        const isOver = status.containerStatuses?.some(({ state }) => state.terminated !== undefined) ?? false;
        if (isOver) note(ended, uid);
        if (type === "DELETED") note(removed, uid);
      },
      ending.signal,
    ),
  ]);
  return {
    created,
    ended,
    completed,
    removed,
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
