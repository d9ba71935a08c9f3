import type { Mount, Run, RunPort } from "#core/context.ts";
import { quantitiesOf } from "./machine-share.ts";
import { claimOf, metadataOf, mountLabel, nameOfRun, networkNameOf } from "./names.ts";
import { variablesOf } from "./run-env.ts";
import { hasEnv } from "./run-parts.ts";

/** As the core removes a run: what a pod has from SIGTERM to SIGKILL when its Job is deleted. */
export const GRACE_SECONDS = 10;
/** The container of the run's command. */
export const MAIN = "main";

/** Of deploy/kubernetes/priority-class.yaml. */
const priorityClass = "berth-environment";
const zoneLabel = "topology.kubernetes.io/zone";
const typeLabel = "node.kubernetes.io/instance-type";

/**
 * The Job of a run: one pod for each machine. The cluster never starts a pod again by itself, which would use GPUs that
 * nobody granted and run a command twice.
 */
export function jobOfRun(run: Run, now: number): object {
  const metadata = metadataOf(run);
  const machines = run.shares.length;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: nameOfRun(run), ...metadata },
    spec: {
      completionMode: "Indexed",
      completions: machines,
      parallelism: machines,
      backoffLimit: 0,
      podReplacementPolicy: "Failed",
      activeDeadlineSeconds: secondsUntil(run.until, now),
      template: { metadata: { ...metadata, labels: { ...metadata.labels, ...mountLabels(run) } }, spec: podOf(run) },
    },
  };
}

function mountLabels({ mounts }: Run): Record<string, string> {
  return Object.fromEntries(mounts.map(({ volume }) => [mountLabel({ name: claimName(volume) }), ""]));
}

/** A Job's deadline counts from its start, in whole seconds, and is never none. */
export function secondsUntil(until: number, from: number): number {
  return Math.max(1, Math.ceil((until - from) / 1000));
}

function podOf(run: Run): object {
  if (run.mounts.length > 0 && run.shares.length > 1) throw new Error("Only a run of one machine can have volumes");
  return {
    restartPolicy: "Never",
    priorityClassName: priorityClass,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(run.shares.length > 1 ? { subdomain: networkNameOf(run) } : {}),
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: nodesOf(run) } } },
    tolerations,
    containers: [mainOf(run)],
    volumes: [
      { name: "shm", emptyDir: { medium: "Memory" } },
      ...run.mounts.map(({ volume }, at) => ({
        name: `volume-${at}`,
        persistentVolumeClaim: { claimName: claimName(volume) },
      })),
    ],
  };
}

/**
 * A node that does not answer keeps its pods: whether its machine is lost is not the cluster's to say, and one that comes
 * back has lost nothing (docs/architecture.md#not-seen-is-not-gone).
 */
const tolerations = [
  { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
];

/** One of the granted nodes; where the group has still to make one, any of its type in the zone of its volumes. */
function nodesOf({ shares, instanceType, mounts }: Run): object[] {
  const zones = [...new Set(mounts.flatMap(({ volume: { zone } }) => (zone === "" ? [] : [zone])))];
  const inZone = zones.map((zone) => ({ key: zoneLabel, operator: "In", values: [zone] }));
  const named = shares.flatMap(({ node }) =>
    node === null ? [] : [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }],
  );
  if (named.length === shares.length) return named;
  const ofType = { key: typeLabel, operator: "In", values: [instanceType] };
  return [...named, { matchExpressions: [ofType, ...inZone] }];
}

function mainOf(run: Run): object {
  const quantities = quantitiesOf(run);
  return {
    name: MAIN,
    image: run.image,
    ...commandOf(run),
    env: variablesOf(run),
    ...(hasEnv(run) ? { envFrom: [{ secretRef: { name: nameOfRun(run) } }] } : {}),
    resources: { limits: quantities, requests: quantities },
    ports: run.ports.map(({ port }) => ({ containerPort: port })),
    ...probeOf(run.ports),
    securityContext: { allowPrivilegeEscalation: false },
    volumeMounts: [
      { name: "shm", mountPath: "/dev/shm" },
      ...run.mounts.map((mount: Mount, at) => ({ name: `volume-${at}`, mountPath: mount.path })),
    ],
  };
}

/** What serves a port without a command is the image's own. */
function commandOf({ command, ports }: Run): object {
  if (command === undefined && served(ports).length > 0) return {};
  return { command: ["/bin/sh", "-c"], args: [literal(command ?? livesOn)] };
}

/** Those that the run itself serves; `ssh` and `jupyter` are doors of every run. */
function served(ports: readonly RunPort[]): RunPort[] {
  return ports.filter(({ kind }) => kind === "http" || kind === "tcp");
}

/** A run without a command goes on until it is removed, and ends at once when it is asked to. */
const livesOn = 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done';

/** Kubernetes puts variables of its own in place of `$(NAME)`: doubled, every `$` reaches the shell as it was written. */
function literal(text: string): string {
  return text.replaceAll("$", "$$$$");
}

/**
 * A container has one probe of each kind, and the kubelet asks the second only once the first was answered: of more than
 * two ports the others are not asked.
 */
function probeOf(ports: readonly RunPort[]): object {
  const [first, second] = served(ports).map(({ port }) => ({ tcpSocket: { port }, periodSeconds: 1 }));
  return {
    ...(first ? { readinessProbe: { ...first, failureThreshold: 1 } } : {}),
    ...(second ? { startupProbe: { ...second, failureThreshold: 1_000_000 } } : {}),
  };
}

function claimName({ id }: Mount["volume"]): string {
  const claim = claimOf(id);
  if (!claim) throw new Error("That is no volume of this cluster");
  return claim.name;
}
