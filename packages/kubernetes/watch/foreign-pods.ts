import type { ChangedNodes } from "#core/ports/changed-nodes.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { sumRequests } from "../client/quantities.ts";
import { label } from "../names.ts";
import { unfinished } from "../nodes/capacity.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import type { OfferedNodes } from "./node-changes.ts";
import { type Follower, follow } from "./watch.ts";

interface PodFollowing {
  readonly signal: AbortSignal;
  /** Version to continue from. */
  readonly from: string | undefined;
  readonly nodesChanged: (nodes: ChangedNodes) => void;
}

/**
 * Follows the pods of others until `signal` aborts, and reports each one that takes resources of a node for runs or
 * releases them. The API server selects the pods that are on a node and not over, and reports a pod as added or deleted
 * when that changes. So nothing is kept for a pod. A changed request of a living pod waits for the next listing.
 */
export async function followForeignPods(
  place: ClusterContext,
  nodes: OfferedNodes,
  { signal, from, nodesChanged }: PodFollowing,
): Promise<void> {
  // The first list of the nodes counts as a change already.
  let isStart = from === undefined;
  const follower: Follower<Pod, string | undefined> = {
    keep: (pod) => (Object.values(sumRequests(pod)).some((amount) => amount > 0) ? pod.spec.nodeName : undefined),
    listed() {
      if (!isStart) nodesChanged("all");
      isStart = false;
    },
    changed(type, node) {
      if (type !== "MODIFIED" && node !== undefined && nodes.has(node)) nodesChanged(new Set([node]));
    },
    reached: () => undefined,
  };
  const selector = { labelSelector: `${label.deployment}!=${place.deployment}`, fieldSelector: unfinished };
  const path = `/api/v1/pods?${new URLSearchParams(selector)}`;
  const options = { signal, changesOnly: true, ...(from !== undefined && { from }) } as const;
  await unlessForbidden(place, "WATCH /api/v1/pods", follow(place.client, path, follower, options), "");
}
