import type { BoundNode, NodeRef, Silence } from "#core/ports/compute.ts";
import { annotation, getMachine, parseAnnotation } from "../names.ts";
import { findCondition, holds, type Job, type Node, type Pod } from "../objects.ts";
import { parseTime } from "../status/end-reason.ts";
import { toMachineStatus } from "../status/machine-status.ts";

export interface BoundRecord extends BoundNode {
  readonly index: number;
}

/** Nodes in the Job's annotation. The uid distinguishes a node from a later one of the same name. */
type Kept = readonly (BoundOnce | null)[];

type BoundOnce = Omit<BoundRecord, "silent" | "mark">;

/** Objects of a run: the Jobs in the order of its machines, and their pods. */
export interface RunObjects {
  /** Undefined where a Job is missing. */
  readonly jobs: readonly (Job | undefined)[];
  readonly pods: readonly Pod[];
}

export function boundNodes({ jobs: [job], pods }: RunObjects, nodes: readonly Node[]): BoundRecord[] {
  const kept = toKept(job);
  const seen = pods.flatMap((pod) => {
    const index = getMachine(pod);
    return kept.some((boundOnce) => boundOnce.index === index) || pod.spec.nodeName === undefined
      ? []
      : [boundNow(pod, nodes)];
  });
  return [...kept, ...seen]
    .toSorted((a, b) => a.index - b.index)
    .map((boundOnce) => ({ ...boundOnce, silent: silenceIn(nodes, boundOnce), ...markIn(pods, nodes, boundOnce) }));
}

export function wasBound(job: Job | undefined, machine: number): boolean {
  return toKept(job).some(({ index }) => index === machine);
}

export function listNodeNames({ jobs: [job], pods }: RunObjects): string[] {
  const names = [...toKept(job).map(({ name }) => name), ...pods.flatMap(({ spec }) => spec.nodeName ?? [])];
  return [...new Set(names)];
}

export function findNewestPod(pods: readonly Pod[], machine: number): Pod | undefined {
  const ownPods = pods.filter((pod) => getMachine(pod) === machine);
  return ownPods.toSorted((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp)).at(-1);
}

/** Returns the annotation to store, or undefined if it is complete. */
export function unkeptNodes(job: Job | undefined, bound: readonly BoundRecord[]): string | undefined {
  if (!job || bound.length === 0 || toKept(job).length === bound.length) return undefined;
  return JSON.stringify(bound.map(({ index, name, uid, providerId }) => ({ index, name, uid, providerId })));
}

function toKept(job: Job | undefined): BoundOnce[] {
  const kept = (job && parseAnnotation<Kept>(job.metadata, annotation.bound)) ?? [];
  return kept.flatMap((boundOnce) =>
    typeof boundOnce?.name === "string" && typeof boundOnce.uid === "string" ? [boundOnce] : [],
  );
}

/** Returns the node of a pod. A node younger than the binding is another machine, so the first one's uid is unknown. */
function boundNow(pod: Pod, nodes: readonly Node[]): BoundOnce {
  const name = pod.spec.nodeName ?? "";
  const index = getMachine(pod);
  const node = nodes.find(({ metadata }) => metadata.name === name);
  const boundAt = parseTime(findCondition(pod, "PodScheduled")?.lastTransitionTime) ?? Number.POSITIVE_INFINITY;
  if (!node || (parseTime(node.metadata.creationTimestamp) ?? 0) > boundAt) {
    return { index, name, uid: `unknown-${pod.metadata.uid}`, providerId: null };
  }
  return { index, name, uid: node.metadata.uid, providerId: node.spec.providerID ?? null };
}

/** Returns no mark if a listing would show no such pod there, or several of that machine. */
function markIn(pods: readonly Pod[], nodes: readonly Node[], { index, uid }: BoundOnce): Pick<BoundNode, "mark"> {
  const node = nodes.find(({ metadata }) => metadata.uid === uid);
  const [pod, ...others] = pods.filter((pod) => getMachine(pod) === index);
  const isListed = node && pod && others.length === 0 && pod.spec.nodeName === node.metadata.name;
  return isListed ? { mark: `${markOfPod(pod)} ${markOfNode(node)}` } : {};
}

/** Returns why a node is silent. `nodes` holds the node objects that exist under its name. */
export function silenceIn(nodes: readonly Node[], { uid }: Pick<NodeRef, "uid">): Silence | null {
  const node = nodes.find(({ metadata }) => metadata.uid === uid);
  if (!node) return "missing";
  return holds(node, "Ready") ? null : "notReady";
}

/** Returns the observed fields of a pod as one text. It begins with a version, so another version never matches. */
export function markOfPod(pod: Pod): string {
  const { state, started, reason, end, deleted } = toMachineStatus(pod);
  const seen = [state, started, reason, end?.exitCode ?? null, deleted, holds(pod, "DisruptionTarget")];
  // A pod loses its Job, or changes it, only if someone edits it by hand. The mark then differs, so the run is
  // observed.
  const owner = pod.metadata.ownerReferences?.find(({ kind }) => kind === "Job")?.uid ?? null;
  return JSON.stringify([2, pod.metadata.uid, owner, ...seen, holds(pod, "Ready"), pod.status?.podIP ?? null]);
}

export function markOfNode(node: Node): string {
  const addresses = (node.status?.addresses ?? []).map(({ type, address }) => [type, address]);
  return JSON.stringify([holds(node, "Ready"), addresses]);
}
