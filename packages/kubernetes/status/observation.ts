import { isIP } from "node:net";
import type { Observation, PortStatus, RunState } from "#core/ports/compute.ts";
import { getSshPort } from "../access/ssh-service.ts";
import { gatedPods } from "../access/start-gate.ts";
import { readPorts, readShares } from "../names.ts";
import { holds, type KubeObject, type Node, type Pod } from "../objects.ts";
import { type BoundRecord, boundNodes, findNewestPod, type RunObjects, wasBound } from "../runs/bound-nodes.ts";
import { endOfRun, isHandlingSigterm, type SeenMachine } from "../runs/run-end.ts";
import { isDisrupted, type MachineEnd, parseTime, withNotice } from "./end-reason.ts";
import { type MachineStatus, toMachineStatus } from "./machine-status.ts";
import type { AdmissionDenied } from "./refusal.ts";
import type { ScaleUp } from "./scale-up.ts";

export interface Surroundings {
  readonly now: number;
  readonly nodes: readonly Node[];
  readonly podRefusal: AdmissionDenied | null;
  readonly missingVolume: string | null;
  readonly unmountedVolume: string | null;
  readonly scaleUp: ScaleUp | null;
  /** The reason of a run whose image is being pulled. */
  readonly pull: string | null;
  readonly failedPulls: number;
}

/** Surroundings without an event of the run. */
export const noEvents = {
  podRefusal: null,
  missingVolume: null,
  unmountedVolume: null,
  scaleUp: null,
  pull: null,
  failedPulls: 0,
} satisfies Partial<Surroundings>;

/** Known limits of a run. Versions of cgroups differ between nodes, and `podPidsLimit` is the kubelet's. */
export const podLimits = "container (memory, cpu)";

/** Returns the run as the port shows it. Returns undefined if nothing is left of it or it is not complete yet. */
export function toObservation(objects: RunObjects, surroundings: Surroundings): Observation | undefined {
  const {
    jobs: [job],
  } = objects;
  const source: KubeObject | undefined = [...objects.jobs, ...objects.pods].find((object) => object !== undefined);
  if (!source || isDraft(objects, surroundings.now)) return undefined;
  const machines = listMachines(source, objects);
  const statuses = machines.map(({ status }) => status);
  const end = endOfRun(machines) ?? endOfUnstarted(statuses, surroundings);
  const nodes = boundNodes(objects, surroundings.nodes);
  return {
    state: end ? "ended" : livingState(statuses, surroundings),
    started: statuses.some(({ started }) => started) || end?.started === true,
    exitCode: end?.exitCode ?? null,
    endedAt: end?.endedAt ?? null,
    reason: end
      ? withNotice(end.reason, surroundings.nodes)
      : (surroundings.missingVolume ??
        surroundings.scaleUp?.words ??
        statuses.find(({ reason }) => reason !== null)?.reason ??
        // A node pulls once it has mounted the volumes, so an older failure of a mount is over.
        surroundings.pull ??
        surroundings.unmountedVolume ??
        surroundings.podRefusal?.words ??
        null),
    address: findAddress(machines[0], surroundings.nodes),
    nodes: nodes.map(({ index: _, ...node }) => node),
    isolation: "pod",
    // The caller adds it: only the run itself can tell.
    jupyter: null,
    ports: portStatuses(source, machines[0]?.pod),
    limits: podLimits,
    sessions: 0,
    terminating: !job || job.metadata.deletionTimestamp !== undefined,
    notes: [],
    ...(!end && statuses.some(({ isRejected }) => isRejected) && { isRejected: true }),
    ...(!end && lacksVolume(statuses, surroundings) && { lacksVolume: true }),
    ...(!end && isRefusedForNow(statuses, surroundings) && { refusedForNow: true }),
    ...(!end && surroundings.scaleUp?.lacks && { lacks: surroundings.scaleUp.lacks }),
    ...(end &&
      (isDisrupted(end.reason, surroundings.nodes) || lostPod(machines, nodes, surroundings.nodes)) && {
        isDisrupted: true,
      }),
    ...(isHalfMade(machines) && { halfMade: true }),
    ...(gatedPods(objects).length > 0 && { waitsToBegin: true }),
    ...(machines[0] && isHandlingSigterm(machines[0]) && { mayPrint: true }),
  };
}

/**
 * Reports whether a machine's pod is gone from a node that is drained or silent. Only the pod would say that it was
 * evicted; its Job says how the command ended.
 */
function lostPod(machines: readonly SeenMachine[], bound: readonly BoundRecord[], nodes: readonly Node[]): boolean {
  return bound.some(({ index, uid, silent }) => {
    const node = nodes.find(({ metadata }) => metadata.uid === uid);
    return !machines[index]?.pod && (silent !== null || node?.spec.unschedulable === true);
  });
}

/** Scheduler messages about volumes, except that a node has too many: that is a fault of the node. */
export const ofVolumes =
  /persistentvolumeclaim|volume node affinity|PersistentVolume's node affinity|persistent volumes to bind/i;

/** Reports whether every unbound pod waits only for its volume. A full node counts as the cause if both are named. */
function lacksVolume(statuses: readonly MachineStatus[], { missingVolume }: Surroundings): boolean {
  const unbound = statuses.filter(({ state }) => state === "unbound");
  const waitsForVolume = ({ reason }: MachineStatus) =>
    reason === null ? missingVolume !== null : ofVolumes.test(reason);
  return unbound.length > 0 && unbound.every(waitsForVolume);
}

/** Reports whether a machine has no pod only because the cluster creates none now. A full node shows up as a reason. */
function isRefusedForNow(statuses: readonly MachineStatus[], { missingVolume, podRefusal }: Surroundings): boolean {
  const isSilent = missingVolume === null && statuses.every(({ reason }) => reason === null);
  return isSilent && podRefusal?.passes === true && statuses.some(({ state }) => state === "unbound");
}

/** Failed pulls after which the fault counts as permanent. */
const MOST_PULLS = 2;

/** Returns the end of a run that the cluster would retry forever: its pod is refused, or its image never comes. */
function endOfUnstarted(
  statuses: readonly MachineStatus[],
  { podRefusal, failedPulls }: Surroundings,
): MachineEnd | undefined {
  const unpulled =
    failedPulls >= MOST_PULLS ? statuses.find((status) => status.unpulled !== null)?.unpulled : undefined;
  const reason = unpulled ?? (podRefusal?.isForGood ? podRefusal.words : undefined);
  return reason === undefined ? undefined : { started: false, exitCode: null, reason, endedAt: null };
}

/** Longer than a usual outage of a cluster. An older draft is a leftover. */
const DRAFT_MS = 15 * 60_000;

/** Reports whether the run is still being created: its first Job comes last. */
function isDraft({ jobs: [first, ...others] }: RunObjects, now: number): boolean {
  const living = others.flatMap((job) => (job && job.metadata.deletionTimestamp === undefined ? [job] : []));
  return !first && living.some(({ metadata }) => now < (parseTime(metadata.creationTimestamp) ?? 0) + DRAFT_MS);
}

/** Reports whether only the first machine is missing. A pod outlives its Job only if the Job was deleted. */
function isHalfMade([first, ...others]: readonly SeenMachine[]): boolean {
  const isLeft = ({ job, status }: SeenMachine) => job?.metadata.deletionTimestamp === undefined && !status.end;
  return !first?.job && !first?.pod && others.some(({ job }) => job) && others.every(isLeft);
}

function listMachines(source: KubeObject, { jobs, pods }: RunObjects): SeenMachine[] {
  return Array.from({ length: Math.max(1, readShares(source).length) }, (_, machine) => {
    const pod = findNewestPod(pods, machine);
    return { job: jobs[machine], pod, status: toMachineStatus(pod), wasBound: wasBound(jobs[0], machine) };
  });
}

const order: readonly RunState[] = ["unbound", "image", "container", "probe", "ready"];

/** With an init container, a kubelet reports `PodInitializing` also while it pulls the image of the main container. */
function livingState(statuses: readonly MachineStatus[], { pull }: Surroundings): RunState {
  const first = order.find((state) => statuses.some((status) => status.state === state)) ?? "ready";
  return first === "container" && pull !== null ? "image" : first;
}

function findAddress(machine: SeenMachine | undefined, nodes: readonly Node[]): Observation["address"] {
  const { job, pod, status } = machine ?? {};
  if (!pod || !status?.started) return null;
  const ip = findNodeIp(nodes.find(({ metadata }) => metadata.name === pod.spec.nodeName));
  return ip === undefined ? null : { ip, ...(job ? getSshPort(job) : { port: null }) };
}

/** Returns the address that users see, preferably an external one. */
export function findNodeIp(node: Node | undefined): string | undefined {
  // Accept only IP addresses: nodes choose the text, and people paste it into commands.
  const usable = (node?.status?.addresses ?? []).filter(({ address }) => isIP(address) !== 0);
  const found = ["ExternalIP", "InternalIP"].flatMap((type) => usable.find((address) => address.type === type) ?? []);
  return found[0]?.address;
}

function portStatuses(source: KubeObject, pod: Pod | undefined): PortStatus[] {
  const ip = pod?.status?.podIP;
  const answers = pod !== undefined && holds(pod, "Ready");
  return readPorts(source).map((port) => ({
    ...port,
    address: ip === undefined ? null : `${ip}:${port.port}`,
    answers,
  }));
}
