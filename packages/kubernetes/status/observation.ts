import { isIP } from "node:net";
import type { Observation, PortStatus, RunState } from "#core/ports/compute.ts";
import { getSshPort } from "../access/ssh-service.ts";
import { gatedPods } from "../access/start-gate.ts";
import { getMachine, readPorts, readShares } from "../names.ts";
import { holds, type KubeObject, type Node, type Pod } from "../objects.ts";
import { boundNodes, type RunObjects, wasBound } from "../runs/bound-nodes.ts";
import { endOfRun, type SeenMachine } from "../runs/run-end.ts";
import { type MachineEnd, parseTime, withNotice } from "./end-reason.ts";
import { type MachineStatus, toMachineStatus } from "./machine-status.ts";
import type { AdmissionDenied } from "./refusal.ts";

export interface Surroundings {
  /** ms since the epoch. */
  readonly now: number;
  /** The node objects of its pods, as far as they are there. */
  readonly nodes: readonly Node[];
  /** Why the cluster makes no pod for its Job, where it says so. */
  readonly podRefusal: AdmissionDenied | null;
  /** Why a pod of it waits for a volume, where the cluster says so. */
  readonly missingVolume: string | null;
  /** How often an image that may never come could not be pulled. */
  readonly failedPulls: number;
}

/**
 * What limits a run, as far as Berth knows: nodes differ in their version of control groups, and whether the number of
 * processes is limited is the kubelet's `podPidsLimit` to say.
 */
export const podLimits = "container (memory, cpu)";

/** The run as the port shows it; undefined: nothing of it is left, or it is not wholly made yet. */
export function toObservation(objects: RunObjects, surroundings: Surroundings): Observation | undefined {
  const {
    jobs: [job],
  } = objects;
  const of: KubeObject | undefined = [...objects.jobs, ...objects.pods].find((object) => object !== undefined);
  if (!of || isDraft(objects, surroundings.now)) return undefined;
  const machines = listMachines(of, objects);
  const statuses = machines.map(({ status }) => status);
  const end = endOfRun(machines) ?? endOfUnstarted(statuses, surroundings);
  const nodes = boundNodes(objects, surroundings.nodes);
  return {
    state: end ? "ended" : livingState(statuses),
    started: statuses.some(({ started }) => started) || end?.started === true,
    exitCode: end?.exitCode ?? null,
    endedAt: end?.endedAt ?? null,
    reason: end
      ? withNotice(end.reason, surroundings.nodes)
      : (surroundings.missingVolume ??
        statuses.find(({ reason }) => reason !== null)?.reason ??
        surroundings.podRefusal?.words ??
        null),
    address: findAddress(machines[0], surroundings.nodes),
    nodes: nodes.map(({ index: _, ...node }) => node),
    isolation: "pod",
    // Asked of the run itself, where it is wanted.
    jupyter: null,
    ports: portStatuses(of, machines[0]?.pod),
    limits: podLimits,
    sessions: 0,
    terminating: !job || job.metadata.deletionTimestamp !== undefined,
    notes: [],
    ...(!end && lacksVolume(statuses, surroundings) && { lacksVolume: true }),
    ...(!end && isRefusedForNow(statuses, surroundings) && { refusedForNow: true }),
    ...(isHalfMade(machines) && { halfMade: true }),
    ...(gatedPods(objects).length > 0 && { waitsToBegin: true }),
  };
}

/** Of what the scheduler says of volumes, that a node has too many of them is the only fault of that node's own. */
const ofVolumes =
  /persistentvolumeclaim|volume node affinity|PersistentVolume's node affinity|persistent volumes to bind/i;

/** Whether each pod that no machine has waits for its volume alone: a full node is at fault whatever else is said. */
function lacksVolume(statuses: readonly MachineStatus[], { missingVolume }: Surroundings): boolean {
  const unbound = statuses.filter(({ state }) => state === "unbound");
  const waitsForVolume = ({ reason }: MachineStatus) =>
    reason === null ? missingVolume !== null : ofVolumes.test(reason);
  return unbound.length > 0 && unbound.every(waitsForVolume);
}

/** Whether a machine has no pod only because the cluster makes none now; that a node is full is said in another way. */
function isRefusedForNow(statuses: readonly MachineStatus[], { missingVolume, podRefusal }: Surroundings): boolean {
  const isSilent = missingVolume === null && statuses.every(({ reason }) => reason === null);
  return isSilent && podRefusal?.passes === true && statuses.some(({ state }) => state === "unbound");
}

/** Beyond this nobody believes that the fault passes. */
const MOST_PULLS = 2;

/** The cluster goes on asking for a pod that it never gets, and for an image that never comes. */
function endOfUnstarted(
  statuses: readonly MachineStatus[],
  { podRefusal, failedPulls }: Surroundings,
): MachineEnd | undefined {
  const unpulled =
    failedPulls >= MOST_PULLS ? statuses.find((status) => status.unpulled !== null)?.unpulled : undefined;
  const reason = unpulled ?? (podRefusal?.isForGood ? podRefusal.words : undefined);
  return reason === undefined ? undefined : { started: false, exitCode: null, reason, endedAt: null };
}

/** Longer than a cluster is away as a rule: beyond it nobody goes on with it, and what is there is left over. */
const DRAFT_MS = 15 * 60_000;

/** Its first Job is made last: before that whoever applies it goes on, or begins again once the cluster is back. */
function isDraft({ jobs: [first, ...others] }: RunObjects, now: number): boolean {
  const living = others.flatMap((job) => (job && job.metadata.deletionTimestamp === undefined ? [job] : []));
  return !first && living.some(({ metadata }) => now < (parseTime(metadata.creationTimestamp) ?? 0) + DRAFT_MS);
}

/**
 * Whether no part of the first machine is there, while the other machines have their Jobs and none of them has ended. A pod
 * of the first machine would outlive its Job only where that was deleted.
 */
function isHalfMade([first, ...others]: readonly SeenMachine[]): boolean {
  const isLeft = ({ job, status }: SeenMachine) => job?.metadata.deletionTimestamp === undefined && !status.end;
  return !first?.job && !first?.pod && others.some(({ job }) => job) && others.every(isLeft);
}

/** Each with its newest pod. */
function listMachines(of: KubeObject, { jobs, pods }: RunObjects): SeenMachine[] {
  return Array.from({ length: Math.max(1, readShares(of).length) }, (_, machine) => {
    const ownPods = pods.filter((pod) => getMachine(pod) === machine);
    const pod = ownPods
      .toSorted((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp))
      .at(-1);
    return { job: jobs[machine], pod, status: toMachineStatus(pod), wasBound: wasBound(jobs[0], machine) };
  });
}

const order: readonly RunState[] = ["unbound", "image", "container", "probe", "ready"];

/** A run is as far as the last of its machines; what has ended was ready. */
function livingState(statuses: readonly MachineStatus[]): RunState {
  return order.find((state) => statuses.some((status) => status.state === state)) ?? "ready";
}

/** Of the first machine: where a node has an address for the world, that one. */
function findAddress(machine: SeenMachine | undefined, nodes: readonly Node[]): Observation["address"] {
  const { job, pod, status } = machine ?? {};
  if (!pod || !status?.started) return null;
  const node = nodes.find(({ metadata }) => metadata.name === pod.spec.nodeName);
  const addresses = node?.status?.addresses ?? [];
  // Whatever a node says of itself, people put it into a command.
  const usable = addresses.filter(({ address }) => isIP(address) !== 0);
  const found = ["ExternalIP", "InternalIP"].flatMap((type) => usable.find((address) => address.type === type) ?? []);
  return found[0] ? { ip: found[0].address, ...(job ? getSshPort(job) : { port: null }) } : null;
}

function portStatuses(of: KubeObject, pod: Pod | undefined): PortStatus[] {
  const ip = pod?.status?.podIP;
  const answers = pod !== undefined && holds(pod, "Ready");
  return readPorts(of).map((port) => ({
    ...port,
    address: ip === undefined ? null : `${ip}:${port.port}`,
    answers,
  }));
}
