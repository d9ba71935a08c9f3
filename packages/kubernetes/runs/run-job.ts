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
  formatLoginName,
  formatNetworkName,
  label,
  mountLabel,
  nameOfRun,
} from "../names.ts";
import { computeExtras, computeQuantities, computeStorage, withoutCpu } from "../nodes/machine-share.ts";
import { inGroup, type NodeTypeRule, termsOfType } from "../nodes/node-type.ts";
import { podTolerations, type Toleration } from "../nodes/tolerations.ts";
import type { Node } from "../objects.ts";
import { showHostfile } from "./hostfile.ts";
import { mountShared, type PodSettings, pullingWith } from "./pod-settings.ts";
import { buildVariables } from "./run-env.ts";
import { hasEnv } from "./run-parts.ts";

/** Default of the time from SIGTERM to SIGKILL. The core has the same. */
export const GRACE_SECONDS = 10;
export const MAIN = "main";

/** Name in deploy/kubernetes/priority-class.yaml. */
export const priorityClass = "berth-environment";

/** Settings of a Job that do not come from its run. */
export interface JobSurroundings {
  readonly deployment: string;
  readonly now: number;
  readonly nodeTypes?: readonly NodeTypeRule[] | undefined;
  readonly tolerations?: readonly Toleration[] | undefined;
  readonly pods?: PodSettings | undefined;
  /** Existing nodes of the run's shares. */
  readonly nodes?: readonly Node[];
  readonly toolsImage?: string | undefined;
  readonly web?: WebAddresses | undefined;
  readonly sshPort?: number | undefined;
}

/**
 * Returns the Job of one machine. The cluster never restarts its pod, which would use ungranted GPUs and run a command
 * twice. Pods of a single Job could not be pinned to different nodes.
 */
export function jobOfRun(run: Run, machine: number, surroundings: JobSurroundings): object {
  const { deployment, now, web } = surroundings;
  const { labels, annotations } = buildMetadata(run, deployment);
  const host = machine === 0 ? formatHost(run, web) : undefined;
  const metadata = {
    labels,
    annotations: {
      ...annotations,
      ...(host !== undefined && { [annotation.host]: host }),
      ...(surroundings.pods?.networkAllow?.length && { [annotation.network]: "allow" }),
    },
  };
  const mounted = machine === 0 ? mountLabels(run) : {};
  const patch = surroundings.pods?.patch?.metadata;
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
          labels: {
            ...patch?.labels,
            ...metadata.labels,
            ...mounted,
            ...(run.isEvictable && { [label.evictable]: "true" }),
          },
          annotations: {
            ...patch?.annotations,
            ...metadata.annotations,
            ...keptByAutoscalers,
            ...showHostfile(run).annotations,
          },
        },
        spec: buildPod(run, machine, surroundings),
      },
    },
  };
}

/**
 * Annotations that stop autoscalers from moving a run (Cluster Autoscaler's FAQ, "What types of pods can prevent CA
 * from removing a node?"; Karpenter, "Disruption").
 */
export const keptByAutoscalers = {
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
  "karpenter.sh/do-not-disrupt": "true",
};

function mountLabels({ mounts }: Run): Record<string, string> {
  return Object.fromEntries(mounts.map(({ volume }) => [mountLabel({ name: claimName(volume) }), ""]));
}

/** Returns a Job's deadline, which counts whole seconds from its start and must be positive. */
export function secondsUntil(until: number, from: number): number {
  return Math.max(1, Math.ceil((until - from) / 1000));
}

function buildPod(run: Run, machine: number, surroundings: JobSurroundings): object {
  const { mounts, ports } = machine === 0 ? run : { mounts: [], ports: [] };
  const words = run.command === undefined ? undefined : getShell(run.command);
  const { pods = {} } = surroundings;
  const { graceSeconds = pods.graceSeconds ?? GRACE_SECONDS } = run;
  const supervision = { graceSeconds, words, listed: mounts[0]?.path };
  const shared = mountShared(pods.sharedClaims, run.mounts);
  const hostfile = showHostfile(run);
  const tools = supervisedBy(surroundings.toolsImage, run, served(ports), supervision);
  return {
    restartPolicy: "Never",
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds: graceSeconds,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...pods.patch?.spec,
    ...pullingWith([...(run.registryLogin ? [formatLoginName(run)] : []), ...(pods.pullSecrets ?? [])]),
    ...(pods.userNamespaces && { hostUsers: false }),
    ...(run.shares.length > 1 ? { hostname: formatHostName(machine), subdomain: formatNetworkName(run) } : {}),
    securityContext: { seccompProfile: { type: "RuntimeDefault" }, ...(mounts.length > 0 ? writable : {}) },
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: getNode(run, machine, surroundings) },
      },
    },
    tolerations: [...podTolerations(surroundings.tolerations), ...ofSilentNodes],
    ...(tools ? { initContainers: tools.initContainers } : {}),
    containers: [
      {
        ...buildMain(run, machine, surroundings),
        ...mountedIn(mounts, [...hostfile.mounts, ...shared.mounts, ...(tools?.mounts ?? [])]),
        ...listening(ports, machine === 0 ? surroundings.sshPort : undefined),
        ...tools?.container,
      },
    ],
    volumes: [
      { name: "shm", emptyDir: { medium: "Memory" } },
      ...hostfile.volumes,
      ...mounts.map(({ volume }, at) => ({
        name: `volume-${at}`,
        persistentVolumeClaim: { claimName: claimName(volume) },
      })),
      ...shared.volumes,
      ...(tools?.volumes ?? []),
    ],
  };
}

/** Gives all processes the group of a fresh disk, which belongs to root, so that images with another user can write. */
const writable = { fsGroup: 1000, fsGroupChangePolicy: "OnRootMismatch" };

/** Keeps pods on a silent node: only the core declares it lost (docs/architecture/failures.md#lost-nodes). */
const ofSilentNodes = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
];

/**
 * Returns the terms for the granted node, or for any node of its type in the zone and node group of the grant and in the
 * zones of the volumes, less drained ones.
 */
function getNode(
  { shares, instanceType, mounts, avoids }: Run,
  machine: number,
  { nodeTypes }: JobSurroundings,
): object[] {
  const { node = null, zone: granted = "", group } = shares[machine] ?? {};
  if (node !== null) return [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }];
  const zones = [...new Set([granted, ...mounts.map(({ volume }) => volume.zone)])].filter((zone) => zone !== "");
  const terms = termsOfType(instanceType, zones, nodeTypes ?? [], avoids);
  if (group === undefined) return terms;
  return terms.map((term) => ({ ...term, matchExpressions: [...term.matchExpressions, inGroup(group)] }));
}

function buildMain(run: Run, machine: number, { nodes = [], pods = {} }: JobSurroundings): object {
  const share = run.shares[machine];
  const node = nodes.find(({ metadata }) => metadata.name === share?.node);
  const offered = share?.node === null ? pods.newMachineResources?.[run.instanceType] : node?.status?.allocatable;
  const extras = computeExtras(run, offered ?? {}, pods.machineResources);
  const requests = { ...computeQuantities(run), ...computeStorage(run, node), ...extras };
  return {
    name: MAIN,
    image: run.image,
    ...getCommand(run),
    env: buildVariables(run, machine),
    ...(hasEnv(run) ? { envFrom: [{ secretRef: { name: nameOfRun(run) } }] } : {}),
    resources: { limits: pods.cpuLimit === "none" ? withoutCpu(requests) : requests, requests },
    securityContext: {
      allowPrivilegeEscalation: Boolean(pods.userNamespaces && pods.allowsSudo),
      ...(pods.capabilities?.length && { capabilities: { add: pods.capabilities } }),
    },
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

/** Returns the ports. `ssh` is the name in deploy/kubernetes/network-policy.yaml that admits traffic. */
function listening(ports: readonly RunPort[], sshPort: number | undefined): object {
  const ssh = sshPort === undefined ? [] : [{ name: "ssh", containerPort: sshPort }];
  const others = ports.filter(({ port }) => port !== sshPort).map(({ port }) => ({ containerPort: port }));
  return { ports: [...ssh, ...others], ...buildProbe(ports) };
}

/** Returns the container's command. A run without one that serves ports keeps the image's own. */
function getCommand({ command, ports }: Run): object {
  if (command === undefined && served(ports).length > 0) return {};
  const [shell, flag, ...args] = getShell(command ?? livesOn);
  return { command: [shell, flag], args };
}

function getShell(command: string): string[] {
  return ["/bin/sh", "-c", literal(command)];
}

/** Returns the ports that the run itself serves. Berth serves `ssh` and `jupyter` for every run. */
function served(ports: readonly RunPort[]): RunPort[] {
  return ports.filter(({ kind }) => kind === "http" || kind === "tcp");
}

/** Command of a run without one: it waits, and ends at once on SIGTERM. */
const livesOn = 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done';

/** Returns the probes. There are only two kinds, so ports after the second are not probed. */
function buildProbe(ports: readonly RunPort[]): object {
  const [first, second] = served(ports).map(({ port }) => ({ tcpSocket: { port }, periodSeconds: 1 }));
  return {
    ...(first ? { readinessProbe: { ...first, failureThreshold: 1 } } : {}),
    ...(second ? { startupProbe: { ...second, failureThreshold: 1_000_000 } } : {}),
  };
}

function claimName({ id }: Mount["volume"]): string {
  const name = formatClaimName(id);
  if (name === undefined) throw new RunRefused("That is not a volume of this cluster");
  return name;
}
