import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, MachineState, NodeRef, Observation, PortAnswer, PortRequest } from "#core/ports/compute.ts";
import type { Log } from "#core/ports/log.ts";
import { setAccess, withSshPort } from "./access/apply-access.ts";
import { isJupyterWanted, observeJupyter } from "./access/jupyter.ts";
import { openGate } from "./access/start-gate.ts";
import { readGpuIdleSince, statusReader } from "./access/supervisor-status.ts";
import { isSupervised } from "./access/tools.ts";
import type { WebAddresses } from "./access/web-parts.ts";
import type { ApiClient } from "./client/api-client.ts";
import { isForGood } from "./client/api-error.ts";
import { kubernetesCommands, tellTerminals } from "./commands.ts";
import { countExecs, countWork } from "./exec/exec.ts";
import { postToPod } from "./exec/pod-port.ts";
import { readLog } from "./exec/read-log.ts";
import type { StreamedLogs } from "./exec/streamed-logs.ts";
import { annotation, getMachine, type RunId, readPorts, readShares } from "./names.ts";
import { listNamedNodes, listNodes } from "./nodes/capacity.ts";
import { nodeSlices } from "./nodes/node-slices.ts";
import type { NodeTypeRule } from "./nodes/node-type.ts";
import { machineStates, type ReadNodes, readNodes, recentNodes } from "./nodes/read-nodes.ts";
import type { Toleration } from "./nodes/tolerations.ts";
import type { Job } from "./objects.ts";
import { buildPaths } from "./paths.ts";
import { applyRun } from "./runs/apply-run.ts";
import { boundNodes, listNodeNames, silenceIn, unkeptNodes } from "./runs/bound-nodes.ts";
import { extendRun, resizeRun, terminateRun } from "./runs/change-run.ts";
import { listParts, listRuns } from "./runs/list-runs.ts";
import { annotate, unlessOvertaken } from "./runs/patch-job.ts";
import type { PodSettings } from "./runs/pod-settings.ts";
import { type ClusterContext, getLivingPod, isLeftAlone, isLiving, readRun, readRunBriefly } from "./runs/read-run.ts";
import { removeRun } from "./runs/remove-run.ts";
import { failedPulls, podRefusals } from "./status/events.ts";
import { toMachineStatus } from "./status/machine-status.ts";
import { toObservation } from "./status/observation.ts";
import { asRefused } from "./status/refusal.ts";
import { runningPulls } from "./status/running-pulls.ts";
import { scaleUps } from "./status/scale-up.ts";
import { missingVolumes, unmountedVolumes } from "./volumes/missing-volumes.ts";
import { followRuns } from "./watch/changes.ts";
import { offeredNodes } from "./watch/node-changes.ts";
import { knownPods, type RecentRuns, recentRuns } from "./watch/run-caches.ts";
import { sharedLists } from "./watch/shared-lists.ts";

export interface KubernetesComputeOptions {
  readonly client: ApiClient;
  /** Namespace for environments only: anyone with write access to it can change all of them. */
  readonly namespace: string;
  /** Permanent name of this control plane, which labels its runs: `a-z`, digits, `-`, at most 63 characters. */
  readonly deployment: string;
  /** undefined: no pages. */
  readonly web?: WebAddresses | undefined;
  /** undefined: no SSH, and no node ports for it. */
  readonly sshPort?: number | undefined;
  now(): number;
  /** Node types of nodes without a cloud label. The first matching rule counts. */
  readonly nodeTypes?: readonly NodeTypeRule[] | undefined;
  /** Taints of nodes that are this deployment's own. */
  readonly tolerations?: readonly Toleration[] | undefined;
  readonly pods?: PodSettings | undefined;
  /** Whether `observe` asks supervisors for the GPU idle time, which costs one call per machine. */
  readonly watchesGpus?: boolean | undefined;
  /** Image of images/tools, copied into every run. If undefined, further commands need a shell of the run's image. */
  readonly toolsImage?: string | undefined;
  /** Streams of followed logs, with which the copies agree about positions; undefined: logs are only copied. */
  readonly streamedLogs?: StreamedLogs | undefined;
  /** Store for the file lists of disks until their backup; undefined stores none. */
  readonly blobs?: Blobs | undefined;
  /** Log for unreadable objects and missing rights. */
  readonly log?: Pick<Log, "warn"> | undefined;
  /** Returns what the cloud provider reports of the machine behind a node. */
  getMachineState(node: NodeRef): Promise<MachineState>;
}

/** Runs environments as Jobs of a Kubernetes cluster (docs/architecture/kubernetes.md). */
export function kubernetesCompute(options: KubernetesComputeOptions): Compute {
  const { client, deployment, now, sshPort, watchesGpus = false } = options;
  const getMachineState = machineStates(options.getMachineState);
  const paths = buildPaths(options.namespace);
  const place: ClusterContext = {
    client,
    paths,
    deployment,
    log: options.log,
    lists: sharedLists(client, paths),
    known: knownPods(),
  };
  const recent = recentRuns(now);
  const readRecentNodes = recentNodes(client, now);
  const slices = nodeSlices();
  const observing = { events: eventReaders(place, now), sshPort, recent, readRecentNodes, watchesGpus };
  const commands = kubernetesCommands(place);
  const offers = {
    nodeTypes: options.nodeTypes,
    tolerations: options.tolerations,
    nodeSelector: options.pods?.patch?.spec?.nodeSelector,
  };
  const nodes = offeredNodes(offers);
  const listing = {
    ...offers,
    leaveOut: (pod: string) => options.log?.warn("pod too large to be counted", { pod }),
  };
  return {
    apply: (run) =>
      applyRun(place, run, {
        deployment,
        now: now(),
        readNodes: readRecentNodes,
        nodeTypes: options.nodeTypes,
        tolerations: options.tolerations,
        pods: options.pods,
        toolsImage: options.toolsImage,
        sshPort,
        web: options.web,
      }).catch((error: unknown) => {
        throw asRefused(error, run);
      }),
    observe: async (uid, run) => observeRun(place, { uid, run }, { ...observing, now: now() }),
    begin: async (uid, run) => openGate(place, await readRun(place, { uid, run })),
    terminate: async (uid, run) => terminateRun(place, { uid, run }, { recent, blobs: options.blobs }),
    remove: async (uid, run, removal) =>
      removeRun(place, { uid, run }, removal, { getMachineState, recent, blobs: options.blobs, now: now() }),
    extend: async (uid, run, until) => unlessOvertaken(() => extendRun(place, { uid, run }, until, now())),
    setAccess: async (uid, run, access) => unlessOvertaken(() => setAccess(place, { uid, run }, access, sshPort)),
    resize: async (uid, run, resources, revision) =>
      unlessOvertaken(() => resizeRun(place, { uid, run }, resources, revision)),
    countWork: async (uid, run) => countWork(place, { uid, run }),
    tell: (uid, run, notice) => tellTerminals(commands.startExec, { uid, run }, notice),
    ...commands,
    postToPort: async (uid, run, request) => postToPort(place, { uid, run }, request),
    readLog: async (uid, run, knownLogEnd) =>
      readLog(place, { uid, run }, { recent, known: knownLogEnd, live: options.streamedLogs }),
    listRuns: (uid) => listRuns(place, uid),
    listParts: () => listParts(place),
    changes: (signal, from) => followRuns(place, signal, from, nodes),
    listNodes: (names) => (names ? listNamedNodes(place, names, listing) : listNodes(place, { ...listing, slices })),
    findSilence: async (node) => silenceIn(await readNodes(client, [node.name]), node),
    getMachineState,
  };
}

function eventReaders(place: ClusterContext, now: () => number) {
  return {
    refusals: podRefusals(place, now),
    failedPulls: failedPulls(place, now),
    runningPulls: runningPulls(place, now),
    missingVolumes: missingVolumes(place, now),
    unmountedVolumes: unmountedVolumes(place, now),
    scaleUps: scaleUps(place, now),
  };
}

interface Observing {
  readonly now: number;
  readonly events: ReturnType<typeof eventReaders>;
  readonly sshPort: number | undefined;
  readonly recent: RecentRuns;
  readonly readRecentNodes: ReadNodes;
  readonly watchesGpus: boolean;
}

/** Observes a run by Job, pods and nodes. Refused secondary calls do not fail it: unobservable runs never end. */
async function observeRun(
  place: ClusterContext,
  id: RunId,
  { now, events, sshPort, recent, readRecentNodes, watchesGpus }: Observing,
): Promise<Observation | undefined> {
  const recentEnd = recent.findEnd(id);
  if (recentEnd) return recentEnd;
  const objects = await withSshPort(place, id, await readRunBriefly(place, id, recent.wasRemoved(id)), sshPort);
  recent.keep(id, objects);
  const { jobs, pods } = objects;
  const [job] = jobs;
  const idle = jobs.find((job, at) => job && isLiving(job) && !pods.some((pod) => getMachine(pod) === at));
  const shares = job ? readShares(job) : [];
  const [nodes, podRefusal, failed, missingVolume, unmountedVolume, scaleUp, pull] = await Promise.all([
    // Read nodes afresh when the cluster ends a pod: a reclaimed machine says why only seconds before its pods go.
    pods.every(isLeftAlone) ? readRecentNodes(listNodeNames(objects)) : readNodes(place.client, listNodeNames(objects)),
    idle ? events.refusals(idle) : null,
    events.failedPulls(pods.filter((pod) => toMachineStatus(pod).unpulled !== null)),
    events.missingVolumes(pods),
    events.unmountedVolumes(pods),
    // An autoscaler makes no machine for a pod that must be on one which exists.
    events.scaleUps(pods.filter((pod) => shares[getMachine(pod)]?.node === null)),
    events.runningPulls(pods),
  ]);
  const failures = { podRefusal, missingVolume, unmountedVolume, scaleUp, pull, failedPulls: failed };
  const seen = toObservation(objects, { now, nodes, ...failures });
  const isOver = seen !== undefined && endedByItself(seen);
  const unkept = isOver ? undefined : unkeptNodes(job, boundNodes(objects, nodes));
  if (job && unkept !== undefined) await keepNodes(place, job, unkept);
  const { [annotation.execs]: execs, [annotation.ssh]: ssh } = job?.metadata.annotations ?? {};
  const isAsked = (execs !== undefined || (ssh !== undefined && pods.some(isSupervised))) && seen?.sessions === 0;
  // The reconcile that removes the run comes next and reuses this: a command that ended by itself stays ended.
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

/** Reports whether the command ended by itself on machines that answer. Any other end may have more details soon. */
function endedByItself({ state, exitCode, nodes, terminating }: Observation): boolean {
  return state === "ended" && exitCode !== null && !terminating && nodes.every(({ silent }) => silent === null);
}

async function keepNodes(place: ClusterContext, job: Job, nodes: string): Promise<void> {
  await annotate(place, job, { [annotation.bound]: nodes }).catch((error: unknown) => {
    if (!isForGood(error)) throw error;
  });
}

async function postToPort(place: ClusterContext, id: RunId, request: PortRequest): Promise<PortAnswer> {
  const pod = await getLivingPod(place, id);
  const isServed = readPorts(pod).some(({ port }) => port === request.port);
  if (!isServed) throw new Error(`Nothing listens on port ${request.port}`);
  return postToPod(place.client, `${place.paths.pods}/${pod.metadata.name}`, request);
}
