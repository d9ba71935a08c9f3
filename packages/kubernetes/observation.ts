import type { BoundNode, Observation, PortSight, RunState } from "#core/context.ts";
import { type BoundRecord, boundNodes } from "./bound-nodes.ts";
import { type MachineSight, sightOf } from "./machine-sight.ts";
import { annotation, indexOf, portsOf, sharesOf } from "./names.ts";
import { holds, type Job, type KubeObject, type Node, type Pod } from "./objects.ts";
import { endOfRun } from "./run-end.ts";

/** What is there of a run: its Job, its pods, or only one of them. */
export interface RunObjects {
  readonly job: Job | undefined;
  /** Of its Job alone. */
  readonly pods: readonly Pod[];
}

export interface Surroundings {
  /** The node objects of its pods, as far as they are there. */
  readonly nodes: readonly Node[];
  /** Why the cluster makes no pod for its Job, where it says so. */
  readonly podRefusal: string | null;
}

/** The run as the port shows it; undefined: nothing of it is left. */
export function observationOf(objects: RunObjects, surroundings: Surroundings): Observation | undefined {
  const { job, pods } = objects;
  const of: KubeObject | undefined = job ?? pods[0];
  if (!of) return undefined;
  const machines = machinesOf(of, pods);
  const sights = machines.map(sightOf);
  const end = endOfRun(
    job,
    sights.map((sight, at) => ({ sight, pod: machines[at] })),
  );
  const nodes = boundNodes(objects, surroundings.nodes);
  return {
    state: end ? "ended" : livingState(sights),
    started: sights.some(({ started }) => started) || end?.started === true,
    exitCode: end?.exitCode ?? null,
    endedAt: end?.endedAt ?? null,
    reason: end ? end.reason : (sights.find(({ reason }) => reason !== null)?.reason ?? surroundings.podRefusal),
    address: addressOf(machines[0], sights[0], surroundings.nodes),
    nodes: inOrder(of, nodes),
    isolation: "pod",
    jupyter: end ? null : jupyterOf(of),
    ports: portSights(of, machines[0]),
    limits: "cgroup-v2 (cpu, memory)",
    sessions: 0,
    terminating: !job || job.metadata.deletionTimestamp !== undefined,
    notes: [],
  };
}

/** The newest pod of each machine. */
function machinesOf(of: KubeObject, pods: readonly Pod[]): (Pod | undefined)[] {
  const most = Math.max(1, sharesOf(of).length);
  const machines = Array.from<Pod | undefined>({ length: most });
  for (const pod of pods) {
    const at = indexOf(pod);
    const before = machines[at];
    const isNewer = !before || pod.metadata.creationTimestamp > before.metadata.creationTimestamp;
    if (at < most && isNewer) machines[at] = pod;
  }
  return machines;
}

const order: readonly RunState[] = ["unbound", "image", "container", "probe", "ready"];

/** A run is as far as the last of its machines; what has ended was ready. */
function livingState(sights: readonly MachineSight[]): RunState {
  return order.find((state) => sights.some((sight) => sight.state === state)) ?? "ready";
}

/** Those that were granted in their order, then those that the cluster chose. */
function inOrder(of: KubeObject, nodes: readonly BoundRecord[]): BoundNode[] {
  const granted = sharesOf(of).map(({ node }) => node);
  const rank = ({ name }: BoundRecord) => {
    const at = granted.indexOf(name);
    return at < 0 ? granted.length : at;
  };
  return nodes.toSorted((a, b) => rank(a) - rank(b)).map(({ index: _, ...node }) => node);
}

/** Of the first machine: where a node has an address for the world, that one. */
function addressOf(
  pod: Pod | undefined,
  sight: MachineSight | undefined,
  nodes: readonly Node[],
): Observation["address"] {
  if (!pod || !sight?.started) return null;
  const node = nodes.find(({ metadata }) => metadata.name === pod.spec.nodeName);
  const addresses = node?.status?.addresses ?? [];
  const found = ["ExternalIP", "InternalIP"].flatMap((type) => addresses.find((one) => one.type === type) ?? []);
  return found[0] ? { ip: found[0].address, port: null } : null;
}

function jupyterOf({ metadata }: KubeObject): Observation["jupyter"] {
  if (metadata.annotations?.[annotation.jupyter] === undefined) return null;
  return { state: "failed", origin: null, reason: "Jupyter is not started on clusters yet" };
}

function portSights(of: KubeObject, pod: Pod | undefined): PortSight[] {
  const ip = pod?.status?.podIP;
  const answers = pod !== undefined && holds(pod, "Ready");
  return portsOf(of).map((port) => ({
    ...port,
    address: ip === undefined ? null : `${ip}:${port.port}`,
    answers,
  }));
}
