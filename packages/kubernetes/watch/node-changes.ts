import { setTimeout as sleep } from "node:timers/promises";
import { type ChangedNodes, mergeChangedNodes } from "#core/ports/changed-nodes.ts";
import type { RunRef } from "#core/ports/compute.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { everyRunSelector, findRun } from "../names.ts";
import { markOffer, type OfferOptions } from "../nodes/node-offer.ts";
import { nodeKeptMs } from "../nodes/read-nodes.ts";
import type { Node, Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { type Follower, follow } from "./watch.ts";

/** The nodes for runs that a watch has shown. It outlives a watch, so the next one finds the changes in between. */
export interface OfferedNodes {
  has(name: string): boolean;
  names(): readonly string[];
  getMark(node: Node): string | undefined;
  /** Reports whether this is the first list. Any earlier state is unknown then. */
  beginList(): boolean;
  /** Sets the mark of a node, undefined if it is gone or not for runs. Returns what changed, if anything. */
  update(name: string, mark: string | undefined): ChangedNodes | undefined;
}

export function offeredNodes(options: OfferOptions = {}): OfferedNodes {
  const marks = new Map<string, string>();
  let isFirst = true;
  return {
    has: (name) => marks.has(name),
    names: () => [...marks.keys()],
    getMark: (node) => markOffer(node, options),
    beginList() {
      const before = isFirst;
      isFirst = false;
      return before;
    },
    update(name, mark) {
      const before = marks.get(name);
      if (before === mark) return undefined;
      if (mark === undefined) marks.delete(name);
      else marks.set(name, mark);
      return before === undefined || mark === undefined ? "all" : new Set([name]);
    },
  };
}

interface NodeFollowing {
  readonly signal: AbortSignal;
  readonly emit: (ref: RunRef) => void;
  /** Called when a listing of these nodes would differ. */
  readonly nodesChanged: (nodes: ChangedNodes) => void;
}

const nodesPath = "/api/v1/nodes";

/**
 * Follows the nodes until `signal` aborts. Emits the runs on each deleted node too: the cluster deletes their pods only
 * after 40 s (kube-controller-manager, `podgc`). The first list of a process counts as a change.
 */
export async function followNodes(
  place: ClusterContext,
  nodes: OfferedNodes,
  { signal, emit, nodesChanged }: NodeFollowing,
): Promise<void> {
  const update = ({ name, mark }: SeenNode) => nodes.update(name, mark);
  const remove = (name: string) => {
    void emitRuns(place, name, signal, emit);
    return update({ name, mark: undefined });
  };
  const follower: Follower<Node, SeenNode> = {
    keep: (node) => ({ name: node.metadata.name, mark: nodes.getMark(node) }),
    listed(items) {
      const isFirst = nodes.beginList();
      const present = new Set(items.map(({ name }) => name));
      const gone = nodes.names().filter((name) => !present.has(name));
      const changes = [...gone.map(remove), ...items.map(update)].flatMap((nodes) => nodes ?? []);
      const all = changes.reduce<ChangedNodes | undefined>(mergeChangedNodes, isFirst ? "all" : undefined);
      if (all) nodesChanged(all);
    },
    changed(type, item) {
      const changed = type === "DELETED" ? remove(item.name) : update(item);
      if (changed) nodesChanged(changed);
    },
    reached: () => undefined,
  };
  const following = follow(place.client, nodesPath, follower, { signal });
  await unlessForbidden(place, `WATCH ${nodesPath}`, following, "");
}

interface SeenNode {
  readonly name: string;
  readonly mark: string | undefined;
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
