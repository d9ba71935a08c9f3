import type { Mount, Run, RunPort } from "#core/ports/compute.ts";
import { RunRefused } from "#core/problem.ts";
import { literal, supervisedBy } from "../access/tools.ts";
import { formatHost, type WebAddresses } from "../access/web-parts.ts";
import {
  annotation,
  buildMetadata,
  formatClaimName,
  formatHostName,
  formatJobName,
  formatNetworkName,
  mountLabel,
  nameOfRun,
} from "../names.ts";
import { type NodeTypeRule, termsOfType } from "../nodes/node-type.ts";
import type { Node } from "../objects.ts";
import { computeQuantities, computeStorage } from "../status/machine-share.ts";
import { buildVariables } from "./run-env.ts";
import { hasEnv } from "./run-parts.ts";

/** As the core removes a run: what a pod has from SIGTERM to SIGKILL when its Job is deleted. */
export const GRACE_SECONDS = 10;
/** The container of the run's command. */
export const MAIN = "main";

/** Of deploy/kubernetes/priority-class.yaml. */
export const priorityClass = "berth-environment";

/** What a Job has beside what its run asks for. */
export interface JobSurroundings {
  readonly deployment: string;
  readonly now: number;
  readonly nodeTypes?: readonly NodeTypeRule[] | undefined;
  /** Those of its shares, as far as they are there. */
  readonly nodes?: readonly Node[];
  /** The image of images/tools; undefined: runs have what their images have. */
  readonly toolsImage?: string | undefined;
  /** How pages are reached from outside; undefined: they are not. */
  readonly web?: WebAddresses | undefined;
  /** Where its SSH server listens; undefined: it has none. */
  readonly sshPort?: number | undefined;
}

/**
 * The Job of one machine of a run, which has one pod. The cluster never starts it again by itself, which would use GPUs
 * that nobody granted and run a command twice. Each machine has a Job of its own, since the pods of one Job are all
 * alike: they could not be pinned one by one, and would all mount the volumes of the first.
 */
export function jobOfRun(run: Run, machine: number, surroundings: JobSurroundings): object {
  const { deployment, now, web } = surroundings;
  const { labels, annotations } = buildMetadata(run, deployment);
  const host = machine === 0 ? formatHost(run, web) : undefined;
  const metadata = { labels, annotations: { ...annotations, ...(host !== undefined && { [annotation.host]: host }) } };
  const mounted = machine === 0 ? mountLabels(run) : {};
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: formatJobName(run, machine), ...metadata },
    spec: {
      completions: 1,
      parallelism: 1,
      backoffLimit: 0,
      podReplacementPolicy: "Failed",
      activeDeadlineSeconds: secondsUntil(run.until, now),
      template: {
        metadata: {
          labels: { ...metadata.labels, ...mounted },
          annotations: { ...metadata.annotations, ...keptByAutoscalers },
        },
        spec: buildPod(run, machine, surroundings),
      },
    },
  };
}

/**
 * A pod of a Job counts as one that can be moved, and the cluster would end its run to save a machine that is not full
 * (Cluster Autoscaler's FAQ, "What types of pods can prevent CA from removing a node?"; Karpenter, "Disruption").
 */
export const keptByAutoscalers = {
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
  "karpenter.sh/do-not-disrupt": "true",
};

function mountLabels({ mounts }: Run): Record<string, string> {
  return Object.fromEntries(mounts.map(({ volume }) => [mountLabel({ name: claimName(volume) }), ""]));
}

/** A Job's deadline counts from its start, in whole seconds, and is never none. */
export function secondsUntil(until: number, from: number): number {
  return Math.max(1, Math.ceil((until - from) / 1000));
}

function buildPod(run: Run, machine: number, surroundings: JobSurroundings): object {
  const { mounts, ports } = machine === 0 ? run : { mounts: [], ports: [] };
  const words = run.command === undefined ? undefined : getShell(run.command);
  const supervision = { graceSeconds: GRACE_SECONDS, words, listed: mounts[0]?.path };
  const tools = supervisedBy(surroundings.toolsImage, run, served(ports), supervision);
  return {
    restartPolicy: "Never",
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(run.shares.length > 1 ? { hostname: formatHostName(machine), subdomain: formatNetworkName(run) } : {}),
    securityContext: { seccompProfile: { type: "RuntimeDefault" }, ...(mounts.length > 0 ? writable : {}) },
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: getNode(run, machine, surroundings) },
      },
    },
    tolerations,
    ...(tools ? { initContainers: tools.initContainers } : {}),
    containers: [
      {
        ...buildMain(run, machine, surroundings),
        ...mountedIn(mounts, tools?.mounts),
        ...listening(ports, machine === 0 ? surroundings.sshPort : undefined),
        ...tools?.container,
      },
    ],
    volumes: [
      { name: "shm", emptyDir: { medium: "Memory" } },
      ...mounts.map(({ volume }, at) => ({
        name: `volume-${at}`,
        persistentVolumeClaim: { claimName: claimName(volume) },
      })),
      ...(tools?.volumes ?? []),
    ],
  };
}

/**
 * A fresh disk belongs to root: an image with a user of its own writes there by a group that each process is in. A disk
 * that has it already is not walked through again.
 */
const writable = { fsGroup: 1000, fsGroupChangePolicy: "OnRootMismatch" };

/**
 * A node that does not answer keeps its pods: whether its machine is lost is not the cluster's to say, and one that
 * comes back has lost nothing (docs/architecture/failures.md#lost-nodes).
 */
const tolerations = [
  { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
];

/** The granted node; where the group has still to make it, any of its type in the zone of the volumes. */
function getNode({ shares, instanceType, mounts }: Run, machine: number, { nodeTypes }: JobSurroundings): object[] {
  const node = shares[machine]?.node ?? null;
  if (node !== null) return [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }];
  const zones = [...new Set(mounts.flatMap(({ volume: { zone } }) => (zone === "" ? [] : [zone])))];
  return termsOfType(instanceType, zones, nodeTypes ?? []);
}

function buildMain(run: Run, machine: number, { nodes = [] }: JobSurroundings): object {
  const node = nodes.find(({ metadata }) => metadata.name === run.shares[machine]?.node);
  const quantities = { ...computeQuantities(run), ...computeStorage(run, node) };
  return {
    name: MAIN,
    image: run.image,
    ...getCommand(run),
    env: buildVariables(run, machine),
    ...(hasEnv(run) ? { envFrom: [{ secretRef: { name: nameOfRun(run) } }] } : {}),
    resources: { limits: quantities, requests: quantities },
    securityContext: { allowPrivilegeEscalation: false },
  };
}

function mountedIn(mounts: readonly Mount[], others: readonly object[] = []): object {
  return {
    volumeMounts: [
      { name: "shm", mountPath: "/dev/shm" },
      ...mounts.map(({ path }, at) => ({ name: `volume-${at}`, mountPath: path })),
      ...others,
    ],
  };
}

/** Who may come in from elsewhere is let in at the port of this name (deploy/kubernetes/network-policy.yaml). */
function listening(ports: readonly RunPort[], sshPort: number | undefined): object {
  const ssh = sshPort === undefined ? [] : [{ name: "ssh", containerPort: sshPort }];
  const others = ports.filter(({ port }) => port !== sshPort).map(({ port }) => ({ containerPort: port }));
  return { ports: [...ssh, ...others], ...buildProbe(ports) };
}

/** What serves a port without a command is the image's own. */
function getCommand({ command, ports }: Run): object {
  if (command === undefined && served(ports).length > 0) return {};
  const [shell, flag, ...args] = getShell(command ?? livesOn);
  return { command: [shell, flag], args };
}

function getShell(command: string): string[] {
  return ["/bin/sh", "-c", literal(command)];
}

/** The ports that the run itself serves: Berth serves `ssh` and `jupyter` for every run. */
function served(ports: readonly RunPort[]): RunPort[] {
  return ports.filter(({ kind }) => kind === "http" || kind === "tcp");
}

/** A run without a command goes on until it is removed, and ends at once when it is asked to. */
const livesOn = 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done';

/**
 * A container has one probe of each kind, and the kubelet asks the second only once the first was answered: of more than
 * two ports the others are not asked.
 */
function buildProbe(ports: readonly RunPort[]): object {
  const [first, second] = served(ports).map(({ port }) => ({ tcpSocket: { port }, periodSeconds: 1 }));
  return {
    ...(first ? { readinessProbe: { ...first, failureThreshold: 1 } } : {}),
    ...(second ? { startupProbe: { ...second, failureThreshold: 1_000_000 } } : {}),
  };
}

function claimName({ id }: Mount["volume"]): string {
  const name = formatClaimName(id);
  if (name === undefined) throw new RunRefused("That is no volume of this cluster");
  return name;
}
