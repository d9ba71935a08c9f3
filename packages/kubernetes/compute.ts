import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, MachineState, NodeRef, Observation, PortAnswer, PortRequest } from "#core/ports/compute.ts";
import type { Log } from "#core/ports/log.ts";
import { setAccess, withSshPort } from "./access/apply-access.ts";
import { isJupyterWanted, observeJupyter } from "./access/jupyter.ts";
import { openGate } from "./access/start-gate.ts";
import { readGpuIdleSince, statusReader } from "./access/supervisor-status.ts";
import { tellTerminals } from "./access/tell.ts";
import { isSupervised } from "./access/tools.ts";
import type { WebAddresses } from "./access/web-parts.ts";
import type { ApiClient } from "./client/api-client.ts";
import { isForGood } from "./client/api-error.ts";
import { kubernetesCommands } from "./commands.ts";
import { countExecs, countWork } from "./exec/exec.ts";
import { postToPod } from "./exec/pod-port.ts";
import { readLog } from "./exec/read-log.ts";
import { annotation, getMachine, type RunId, readPorts } from "./names.ts";
import { listNodes } from "./nodes/capacity.ts";
import { machineStates } from "./nodes/machine-state.ts";
import { nodeSlices } from "./nodes/node-slices.ts";
import type { NodeTypeRule } from "./nodes/node-type.ts";
import { readNodes } from "./nodes/read-nodes.ts";
import type { Job } from "./objects.ts";
import { buildPaths } from "./paths.ts";
import { applyRun } from "./runs/apply-run.ts";
import { boundNodes, listNodeNames, silenceIn, unkeptNodes } from "./runs/bound-nodes.ts";
import { extendRun, resizeRun } from "./runs/change-run.ts";
import { listParts } from "./runs/list-parts.ts";
import { listRuns } from "./runs/list-runs.ts";
import { annotate, unlessOvertaken } from "./runs/patch-job.ts";
import { type ClusterContext, isLeftAlone, isLiving, livingPod, readRun, readRunBriefly } from "./runs/read-run.ts";
import { removeRun } from "./runs/remove-run.ts";
import { terminateRun } from "./runs/terminate-run.ts";
import { failedPulls } from "./status/failed-pulls.ts";
import { toMachineStatus } from "./status/machine-status.ts";
import { toObservation } from "./status/observation.ts";
import { podRefusals } from "./status/pod-refusals.ts";
import { asRefused } from "./status/refusal.ts";
import { missingVolumes } from "./volumes/missing-volumes.ts";
import { followRuns } from "./watch/changes.ts";
import { knownPods } from "./watch/known-pods.ts";
import { type ReadNodes, recentNodes } from "./watch/recent-nodes.ts";
import { type RecentRuns, recentRuns } from "./watch/recent-runs.ts";
import { sharedLists } from "./watch/shared-lists.ts";

export interface KubernetesComputeOptions {
  readonly client: ApiClient;
  /** A namespace for environments only: anybody with write access there can change all of them. */
  readonly namespace: string;
  /** Names this control plane, for good: its runs are those that carry it. A label: `a-z`, digits, `-`, at most 63. */
  readonly deployment: string;
  /** How pages of runs are reached from outside; undefined: they are not. */
  readonly web?: WebAddresses | undefined;
  /** Where the SSH server of every run listens, inside; undefined: they have none, and nodes no ports for them. */
  readonly sshPort?: number | undefined;
  now(): number;
  /** Which machines of Berth the nodes are that carry no label of a cloud: the first rule that fits counts. */
  readonly nodeTypes?: readonly NodeTypeRule[] | undefined;
  /** Whether `observe` asks supervisors since when GPUs are idle: one more question to each machine. */
  readonly watchesGpus?: boolean | undefined;
  /** The image of images/tools, copied into every run; undefined: commands beside a run's own need a shell of its image. */
  readonly toolsImage?: string | undefined;
  /** Where the list of a disk's files is left for its backup; undefined: nowhere. */
  readonly blobs?: Blobs | undefined;
  /** Is told of objects in the cluster that nobody can read, and of rights that are missing; undefined: nobody is. */
  readonly log?: Pick<Log, "warn"> | undefined;
  /** What the provider says of the machine behind a node. */
  machineOf(node: NodeRef): Promise<MachineState>;
}

/** Runs environments as Jobs of a Kubernetes cluster (docs/architecture/kubernetes.md). */
export function kubernetesCompute(options: KubernetesComputeOptions): Compute {
  const { client, deployment, now, sshPort, watchesGpus = false } = options;
  const getMachineState = machineStates(options.machineOf);
  const paths = buildPaths(options.namespace);
  const place: ClusterContext = {
    client,
    paths,
    deployment,
    log: options.log,
    lists: sharedLists(client, paths),
    known: knownPods(),
  };
  const [refusals, pulls, missing] = [podRefusals(place, now), failedPulls(place, now), missingVolumes(place, now)];
  const recent = recentRuns(now);
  const nodesOf = recentNodes(client, now);
  const slices = nodeSlices();
  const commands = kubernetesCommands(place);
  return {
    apply: (run) =>
      applyRun(place, run, {
        deployment,
        now: now(),
        nodesOf,
        nodeTypes: options.nodeTypes,
        toolsImage: options.toolsImage,
        sshPort,
        web: options.web,
      }).catch((error: unknown) => {
        throw asRefused(error, run);
      }),
    observe: async (uid, run) =>
      observeRun(place, { uid, run }, { now: now(), refusals, pulls, missing, sshPort, recent, nodesOf, watchesGpus }),
    begin: async (uid, run) => openGate(place, await readRun(place, { uid, run })),
    terminate: async (uid, run) => terminateRun(place, { uid, run }, { recent, blobs: options.blobs }),
    remove: async (uid, run, removal) =>
      removeRun(place, { uid, run }, removal, { stateOf: getMachineState, recent, blobs: options.blobs }),
    extend: async (uid, run, until) => unlessOvertaken(() => extendRun(place, { uid, run }, until, now())),
    setAccess: async (uid, run, access) => unlessOvertaken(() => setAccess(place, { uid, run }, access, sshPort)),
    resize: async (uid, run, resources, revision) =>
      unlessOvertaken(() => resizeRun(place, { uid, run }, resources, revision)),
    countWork: async (uid, run) => countWork(place, { uid, run }),
    tell: (uid, run, notice) => tellTerminals(commands.startExec, { uid, run }, notice),
    ...commands,
    postToPort: async (uid, run, request) => postToPort(place, { uid, run }, request),
    readLog: async (uid, run, knownLogEnd) => readLog(place, { uid, run }, { recent, known: knownLogEnd }),
    listRuns: (uid) => listRuns(place, uid),
    listParts: () => listParts(place),
    changes: (signal, from) => followRuns(place, signal, from),
    listNodes: () =>
      listNodes(place, {
        nodeTypes: options.nodeTypes,
        leaveOut: (pod) => options.log?.warn("pod too large to be counted", { pod }),
        slices,
      }),
    findSilence: async (node) => silenceIn(await readNodes(client, [node.name]), node),
    getMachineState,
  };
}

interface Observing {
  readonly now: number;
  readonly refusals: ReturnType<typeof podRefusals>;
  readonly pulls: ReturnType<typeof failedPulls>;
  readonly missing: ReturnType<typeof missingVolumes>;
  readonly sshPort: number | undefined;
  readonly recent: RecentRuns;
  readonly nodesOf: ReadNodes;
  readonly watchesGpus: boolean;
}

/** What is refused beside Job, pods and nodes does not decide: a run that nobody can look at is ended by nobody. */
async function observeRun(
  place: ClusterContext,
  id: RunId,
  { now, refusals, pulls, missing, sshPort, recent, nodesOf, watchesGpus }: Observing,
): Promise<Observation | undefined> {
  const knownEnd = recent.findEnd(id);
  if (knownEnd) return knownEnd;
  const objects = await withSshPort(place, id, await readRunBriefly(place, id, recent.wasRemoved(id)), sshPort);
  recent.keep(id, objects);
  const { jobs, pods } = objects;
  const [job] = jobs;
  const idle = jobs.find((job, at) => job && isLiving(job) && !pods.some((pod) => getMachine(pod) === at));
  const [nodes, podRefusal, failed, missingVolume] = await Promise.all([
    // Why the cluster ends something is read as it is now: a machine that is taken back says so seconds before its pods go.
    pods.every(isLeftAlone) ? nodesOf(listNodeNames(objects)) : readNodes(place.client, listNodeNames(objects)),
    idle ? refusals(idle) : null,
    pulls(pods.filter((pod) => toMachineStatus(pod).unpulled !== null)),
    missing(pods),
  ]);
  const seen = toObservation(objects, { now, nodes, podRefusal, missingVolume, failedPulls: failed });
  const isOver = seen !== undefined && endedByItself(seen);
  const unkept = isOver ? undefined : unkeptNodes(job, boundNodes(objects, nodes));
  if (job && unkept !== undefined) await keepNodes(place, job, unkept);
  const { [annotation.execs]: execs, [annotation.ssh]: ssh } = job?.metadata.annotations ?? {};
  const isAsked = (execs !== undefined || (ssh !== undefined && pods.some(isSupervised))) && seen?.sessions === 0;
  // The look that removes it comes next, and needs no other answer: what is over by itself stays so.
  if (isOver) recent.keepEnd(id, objects, seen);
  if (!seen || !job || seen.state === "ended") return seen;
  const first = pods.find((pod) => getMachine(pod) === 0);
  const findStatus = statusReader(place);
  const [jupyter, sessions, gpuIdleSince] = await Promise.all([
    isJupyterWanted(job) && seen.started ? observeJupyter(findStatus, job, first) : null,
    isAsked && seen.state === "ready" ? countExecs(place, id) : seen.sessions,
    watchesGpus && seen.state === "ready"
      ? readGpuIdleSince(findStatus, pods, { now, machines: jobs.length })
      : undefined,
  ]);
  return { ...seen, jupyter, sessions, gpuIdleSince };
}

/** Whether its command is over by itself, on machines that answer: of any other end more may be known a moment later. */
function endedByItself({ state, exitCode, nodes, terminating }: Observation): boolean {
  return state === "ended" && exitCode !== null && !terminating && nodes.every(({ silent }) => silent === null);
}

async function keepNodes(place: ClusterContext, job: Job, nodes: string): Promise<void> {
  await annotate(place, job, { [annotation.bound]: nodes }).catch((error: unknown) => {
    if (!isForGood(error)) throw error;
  });
}

async function postToPort(place: ClusterContext, id: RunId, request: PortRequest): Promise<PortAnswer> {
  const pod = await livingPod(place, id);
  const isServed = readPorts(pod).some(({ port }) => port === request.port);
  if (!isServed) throw new Error(`Nothing listens on port ${request.port}`);
  return postToPod(place.client, `${place.paths.pods}/${pod.metadata.name}`, request);
}
