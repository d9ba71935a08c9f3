import type { ComputeNode } from "#core/context.ts";
import { findInstanceType, type InstanceType } from "#core/fleet.ts";
import { label, runOf } from "./names.ts";
import { holds, type Node, type Pod, type Quantities } from "./objects.ts";
import { amountOf, requestsOf } from "./quantities.ts";
import type { Place } from "./read-run.ts";

/** What is free is what nodes have less what pods take: one list of each, for all types. */
export async function listNodes({ client, deployment }: Pick<Place, "client" | "deployment">): Promise<ComputeNode[]> {
  const [nodes, pods] = await Promise.all([
    client.list<Node, Offer>("/api/v1/nodes", offersOf),
    client.list<Pod, Taken>(`/api/v1/pods?fieldSelector=${unfinished}`, (pod) => takenBy(pod, deployment)),
  ]);
  const byNode = Map.groupBy(pods.items, ({ node }) => node);
  return nodes.items.map((offer) => computeNode(offer, byNode.get(offer.node.name) ?? []));
}

const unfinished = encodeURIComponent("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");

/** What a pod takes of its node. */
interface Taken {
  readonly node: string;
  /** The run that it is of; undefined: not one of ours, also where it is one of another deployment. */
  readonly uid: string | undefined;
  readonly gpus: number;
  readonly cpus: number;
  readonly memoryMb: number;
}

function takenBy(pod: Pod, deployment: string): Taken[] {
  const requests = requestsOf(pod);
  const node = pod.spec.nodeName;
  const isOurs = pod.metadata.labels?.[label.deployment] === deployment;
  const uid = isOurs ? runOf(pod, "Pod")?.uid : undefined;
  return node === undefined ? [] : [{ node, uid, ...requests }];
}

/** Of a node what is read of it: the rest, above all the images that it has, is tens of kB. */
interface Offer {
  readonly type: InstanceType;
  readonly node: Omit<ComputeNode, "foreignUnits" | "runs">;
  readonly allocatable: Quantities;
}

/** Nothing for a node of no type that Berth knows. */
function offersOf(node: Node): Offer[] {
  const type = findInstanceType(node.metadata.labels?.["node.kubernetes.io/instance-type"] ?? "");
  if (!type) return [];
  const allocatable = node.status?.allocatable ?? {};
  const offered = {
    name: node.metadata.name,
    uid: node.metadata.uid,
    providerId: node.spec.providerID ?? null,
    instanceType: type.name,
    zone: node.metadata.labels?.["topology.kubernetes.io/zone"] ?? "",
    ready: holds(node, "Ready") && isOpen(node),
    units: unitsOf(allocatable, type),
  };
  return [{ type, node: offered, allocatable }];
}

function computeNode({ type, node, allocatable }: Offer, taken: readonly Taken[]): ComputeNode {
  const foreign = taken.filter(({ uid }) => uid === undefined);
  return {
    ...node,
    foreignUnits: Math.min(node.units, foreignUnits(type, allocatable, foreign)),
    runs: taken.flatMap((pod) => (pod.uid === undefined ? [] : [{ uid: pod.uid, units: unitsTaken(type, pod) }])),
  };
}

/** Nothing new comes to a node that is cordoned, drained or kept for others. */
function isOpen({ spec }: Node): boolean {
  const foreign = (spec.taints ?? []).filter(
    ({ key, effect }) => key !== "nvidia.com/gpu" && effect !== "PreferNoSchedule",
  );
  return spec.unschedulable !== true && foreign.length === 0;
}

/** As the kubelet offers it, and never more than a machine of its type has. */
function unitsOf(allocatable: Quantities, type: InstanceType): number {
  if (type.gpus > 0) return Math.min(type.gpus, amountOf(allocatable["nvidia.com/gpu"]));
  if (!type.shared) return 1;
  return Math.min(type.vcpus, sharedUnits(allocatable));
}

function sharedUnits(amounts: Quantities): number {
  const memoryMb = amountOf(amounts.memory) / 1024 ** 2;
  return Math.floor(Math.min(amountOf(amounts.cpu), memoryMb / MB_OF_UNIT));
}

const MB_OF_UNIT = 4096;
/** Pods that every node has ask for a little of a whole machine: one that asks for more has it. */
const LITTLE = 0.1;

function foreignUnits(type: InstanceType, allocatable: Quantities, foreign: readonly Taken[]): number {
  const sum = (of: (taken: Taken) => number) => foreign.reduce((all, taken) => all + of(taken), 0);
  if (type.gpus > 0) return sum(({ gpus }) => gpus);
  const [cpus, memoryMb] = [sum((taken) => taken.cpus), sum((taken) => taken.memoryMb)];
  if (!type.shared) return cpus > type.vcpus * LITTLE || memoryMb > type.memoryGb * 1024 * LITTLE ? 1 : 0;
  const cpusLeft = amountOf(allocatable.cpu) - cpus;
  const memoryLeft = amountOf(allocatable.memory) / 1024 ** 2 - memoryMb;
  const left = Math.floor(Math.min(cpusLeft, memoryLeft / MB_OF_UNIT));
  return Math.max(0, Math.min(type.vcpus, sharedUnits(allocatable)) - Math.max(0, left));
}

function unitsTaken(type: InstanceType, { gpus, cpus, memoryMb }: Taken): number {
  if (type.gpus > 0) return gpus;
  return type.shared ? Math.max(1, Math.ceil(cpus), Math.ceil(memoryMb / MB_OF_UNIT)) : 1;
}
