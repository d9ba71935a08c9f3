import { setTimeout as sleep } from "node:timers/promises";
import type { RunRef } from "#core/ports/compute.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { everyRunSelector, findRun } from "../names.ts";
import { nodeKeptMs } from "../nodes/read-nodes.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { follow, type Versioned } from "./watch.ts";

const nodesPath = "/api/v1/nodes";

/**
 * Emits the runs on each deleted node, until `signal` aborts. The cluster deletes their pods only after 40 s
 * (kube-controller-manager, `podgc`). A deletion between two watches is not emitted.
 */
export async function followDeletedNodes(
  place: ClusterContext,
  signal: AbortSignal,
  emit: (ref: RunRef) => void,
): Promise<void> {
  const { client } = place;
  const follower = {
    keep: ({ metadata }: NodeMetadata) => metadata.name,
    listed: () => undefined,
    changed: (type: string, name: string) => {
      if (type === "DELETED") void emitRuns(place, name, signal, emit);
    },
    reached: () => undefined,
  };
  const from = await client.get<Versioned>(`${nodesPath}?limit=1`).then(
    ({ metadata }) => metadata.resourceVersion,
    () => undefined,
  );
  const following = follow<NodeMetadata, string>(client, nodesPath, follower, {
    signal,
    metadataOnly: true,
    ...(from !== undefined && { from }),
  });
  await unlessForbidden(place, `WATCH ${nodesPath}`, following, "");
}

interface NodeMetadata {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

/** Waits until no process has the node in its cache. After a failure only the deletion of the pods is emitted. */
async function emitRuns(
  { client, paths, deployment, log }: ClusterContext,
  node: string,
  signal: AbortSignal,
  emit: (ref: RunRef) => void,
): Promise<void> {
  await sleep(nodeKeptMs, undefined, { signal }).catch(() => undefined);
  if (signal.aborted) return;
  const selector = `fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`;
  try {
    const path = `${paths.pods}?${everyRunSelector(deployment)}&${selector}`;
    const { items } = await client.list(path, (pod: Pod) => [findRun(pod, "Pod")], { part: "metadata" });
    for (const ref of items) if (ref) emit(ref);
  } catch (error) {
    log?.warn("cannot list the runs on a deleted node", { node, error: String(error) });
  }
}
