import type { BoundNode, NodeRef, Silence } from "#core/ports/compute.ts";
import { annotation, getMachine, parseAnnotation } from "../names.ts";
import { findCondition, holds, type Job, type Node, type Pod } from "../objects.ts";
import { parseTime } from "../status/end-reason.ts";
import { markOfNode, markOfPod } from "./run-mark.ts";

/** The node of one machine of a run. */
export interface BoundRecord extends BoundNode {
  readonly index: number;
}

/** As it is kept in an annotation of the Job: a name may come back with another machine, and then the uid tells. */
type Kept = readonly (BoundOnce | null)[];

type BoundOnce = Omit<BoundRecord, "silent" | "mark">;

/** What is there of a run: the Jobs of its machines, the first one first, and their pods. */
export interface RunObjects {
  /** Holes where there is none. */
  readonly jobs: readonly (Job | undefined)[];
  readonly pods: readonly Pod[];
}

/** The nodes that the pods of a run are bound to, in the order of its machines. */
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

/** Whether a pod of this machine was ever seen on a node. */
export function wasBound(job: Job | undefined, machine: number): boolean {
  return toKept(job).some(({ index }) => index === machine);
}

/** The names of all nodes that the run has to do with. */
export function listNodeNames({ jobs: [job], pods }: RunObjects): string[] {
  const names = [...toKept(job).map(({ name }) => name), ...pods.flatMap(({ spec }) => spec.nodeName ?? [])];
  return [...new Set(names)];
}

/** What is to be written down of them; undefined: all of it is. */
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

/** A node object that is younger than the binding is another machine under that name: nobody knows the first one's uid. */
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

/** None where a listing shows no such pod there, or more than one of that machine. */
function markIn(pods: readonly Pod[], nodes: readonly Node[], { index, uid }: BoundOnce): Pick<BoundNode, "mark"> {
  const node = nodes.find(({ metadata }) => metadata.uid === uid);
  const [pod, ...others] = pods.filter((pod) => getMachine(pod) === index);
  const isListed = node && pod && others.length === 0 && pod.spec.nodeName === node.metadata.name;
  return isListed ? { mark: `${markOfPod(pod)} ${markOfNode(node)}` } : {};
}

/** Of a node among those that are there under its name. */
export function silenceIn(nodes: readonly Node[], { uid }: Pick<NodeRef, "uid">): Silence | null {
  const node = nodes.find(({ metadata }) => metadata.uid === uid);
  if (!node) return "missing";
  return holds(node, "Ready") ? null : "notReady";
}
