import type { InstanceType } from "#core/fleet.ts";
import type { BoundRun, ComputeNode, Unready } from "#core/ports/compute.ts";
import type { ListOptions } from "./list-pages.ts";
import { label, runOf } from "./names.ts";
import { type NodeTypeRule, typeOfNode, zoneOfNode } from "./node-type.ts";
import { foreignUnits, unitsOf, unitsTaken } from "./node-units.ts";
import { holds, type Node, type Pod, type Quantities } from "./objects.ts";
import { type Requests, requestsOf } from "./quantities.ts";
import type { Place } from "./read-run.ts";
import { markOfNode, markOfPod } from "./run-mark.ts";

/**
 * What is free is what nodes have less what pods take: one list of each, for all types. `leaveOut` is told of a pod that
 * nobody can read: it counts nothing, so that it keeps nobody else from being started.
 */
export async function listNodes(
  place: Place,
  nodeTypes: readonly NodeTypeRule[] = [],
  leaveOut: ListOptions["leaveOut"] = () => undefined,
): Promise<ComputeNode[]> {
  const { client } = place;
  const [nodes, pods] = await Promise.all([
    client.list<Node, Offer>("/api/v1/nodes", (node) => offersOf(node, nodeTypes)),
    client.list<Pod, Taken>(`/api/v1/pods?fieldSelector=${unfinished}`, (pod) => takenBy(pod, place), {
      leaveOut,
      merge: mergeForeign,
    }),
  ]);
  const byNode = Map.groupBy(pods.items, ({ node }) => node);
  return nodes.items.map((offer) => computeNode(offer, byNode.get(offer.node.name) ?? []));
}

const unfinished = encodeURIComponent("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");

/** What a pod of a run takes of its node, or all pods together that are not of our runs. */
interface Taken extends Requests {
  readonly node: string;
  /** The run that it is of; undefined: not one of ours, also where another deployment or namespace has it. */
  readonly of: Pick<BoundRun, "uid" | "run" | "mark"> | undefined;
}

/** Whoever may make pods in another namespace may give them any labels. */
function takenBy(pod: Pod, { deployment, paths }: Place): Taken[] {
  const requests = requestsOf(pod);
  const node = pod.spec.nodeName;
  const { namespace, labels } = pod.metadata;
  const isOurs = namespace === paths.namespace && labels?.[label.deployment] === deployment;
  const run = isOurs ? runOf(pod, "Pod") : undefined;
  const of = run && { uid: run.uid, run: run.run, mark: markOfPod(pod) };
  return node === undefined ? [] : [{ node, of, ...requests }];
}

/** Keeps the pods of our runs as they are, and one sum for each node of what the others take. */
function mergeForeign(taken: readonly Taken[]): Taken[] {
  const sums = new Map<string, Taken>();
  for (const { of, node, gpus, cpus, memoryMb } of taken) {
    if (of) continue;
    const sum = sums.get(node) ?? { gpus: 0, cpus: 0, memoryMb: 0 };
    const merged = { gpus: sum.gpus + gpus, cpus: sum.cpus + cpus, memoryMb: sum.memoryMb + memoryMb };
    sums.set(node, { node, of, ...merged });
  }
  return [...taken.filter(({ of }) => of), ...sums.values()];
}

/** Of a node what is read of it: the rest, above all the images that it has, is tens of kB. */
interface Offer {
  readonly type: InstanceType;
  readonly node: Omit<ComputeNode, "foreignUnits" | "runs">;
  readonly allocatable: Quantities;
  readonly mark: string;
}

/** Nothing for a node of no type that Berth knows. */
function offersOf(node: Node, nodeTypes: readonly NodeTypeRule[]): Offer[] {
  const type = typeOfNode(node, nodeTypes);
  if (!type) return [];
  const allocatable = node.status?.allocatable ?? {};
  const offered = {
    name: node.metadata.name,
    uid: node.metadata.uid,
    providerId: node.spec.providerID ?? null,
    instanceType: type.name,
    zone: zoneOfNode(node),
    ...readinessOf(node),
    units: unitsOf(allocatable, type),
  };
  return [{ type, node: offered, allocatable, mark: markOfNode(node) }];
}

function computeNode({ type, node, allocatable, mark }: Offer, taken: readonly Taken[]): ComputeNode {
  const foreign = taken.filter(({ of }) => of === undefined);
  return {
    ...node,
    foreignUnits: foreignUnits(type, allocatable, foreign),
    runs: taken.flatMap(({ of, ...pod }) =>
      of ? [{ ...of, units: unitsTaken(type, pod), mark: `${of.mark} ${mark}` }] : [],
    ),
  };
}

function readinessOf(node: Node): Pick<ComputeNode, "ready" | "unready"> {
  const unready = whyUnready(node);
  return unready ? { ready: false, unready } : { ready: true };
}

/** The cluster itself taints a node that is not ready, and one that is cordoned. */
function whyUnready(node: Node): Unready | undefined {
  if (!holds(node, "Ready")) return "notReady";
  if (node.spec.unschedulable === true) return "cordoned";
  return isKeptForOthers(node) ? "tainted" : undefined;
}

/** Pods of runs tolerate one taint alone. */
function isKeptForOthers({ spec }: Node): boolean {
  return (spec.taints ?? []).some(
    ({ key, effect }) => effect !== "PreferNoSchedule" && !(key === "nvidia.com/gpu" && effect === "NoSchedule"),
  );
}
