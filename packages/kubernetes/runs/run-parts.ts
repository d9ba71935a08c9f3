import type { Run } from "#core/ports/compute.ts";
import { webPaths } from "../access/web-parts.ts";
import {
  annotation,
  buildMarks,
  formatNetworkName,
  formatSshServiceName,
  getMachine,
  isEbsVolume,
  label,
  type Marks,
  nameOfRun,
  type RunId,
  readShares,
} from "../names.ts";
import { listClaimNames } from "../objects.ts";
import type { Paths } from "../paths.ts";
import type { RunObjects } from "./bound-nodes.ts";
import type { AllowedNetwork } from "./pod-settings.ts";
import type { ClusterContext } from "./read-run.ts";

export interface RunPart {
  readonly path: string;
  readonly body: object;
}

/** Returns the objects to create before the Job, so that a visible Job is complete. */
export function buildRunParts(
  run: Run,
  { paths, deployment }: Pick<ClusterContext, "paths" | "deployment">,
  allowed: readonly AllowedNetwork[] = [],
): RunPart[] {
  const marks = buildMarks(run, deployment);
  const { secret, service, policy } = partPaths(run, paths);
  return [
    ...(hasEnv(run) ? [{ path: secret, body: buildSecret(run, marks) }] : []),
    ...(run.shares.length > 1 ? [{ path: service, body: buildService(run, marks) }] : []),
    ...(run.shares.length > 1 || allowed.length > 0 ? [{ path: policy, body: buildPolicy(run, marks, allowed) }] : []),
  ];
}

/** Returns the paths to delete after the Job, which cannot own older objects. Without Job and pod all may exist. */
export function listPartPaths(id: RunId, { jobs: [job], pods }: RunObjects, paths: Paths): string[] {
  const { secret, service, policy } = partPaths(id, paths);
  const web = webPaths(id, paths);
  const pod = pods.find((pod) => getMachine(pod) === 0);
  const source = job ?? pod;
  // The Job owns the SSH Service, unless the Job was deleted without its dependents.
  const ssh = job ? [] : [`${paths.services}/${formatSshServiceName(id)}`];
  if (!source) return [secret, service, policy, ...web, ...ssh];
  const { containers = [] } = (job ? job.spec?.template?.spec : pod?.spec) ?? {};
  const hasSecret = containers.some(({ envFrom = [] }) => envFrom.length > 0);
  const isMulti = readShares(source).length > 1;
  const hasPolicy = isMulti || source.metadata.annotations?.[annotation.network] !== undefined;
  const hasPage = source.metadata.annotations?.[annotation.host] !== undefined;
  return [
    ...(hasSecret ? [secret] : []),
    ...(isMulti ? [service] : []),
    ...(hasPolicy ? [policy] : []),
    ...(hasPage ? web : []),
    ...ssh,
  ];
}

/** Reports whether the run may have EBS volumes. Returns true if neither Job nor pod can tell. */
export function mayHaveEbs({ jobs: [job], pods }: RunObjects): boolean {
  const pod = pods.find((pod) => getMachine(pod) === 0);
  if (!job && !pod) return true;
  return listClaimNames({ spec: (job ? job.spec?.template?.spec : pod?.spec) ?? {} }).some(isEbsVolume);
}

export function hasEnv(run: Pick<Run, "env">): boolean {
  return Object.keys(getUserVariables(run)).length > 0;
}

/** Set by the device plugin. Others would show the container all GPUs of its node. */
const ofDevicePlugin = /^NVIDIA_(?:VISIBLE_DEVICES|IMEX_CHANNELS|MIG_.*)$/;

function getUserVariables({ env }: Pick<Run, "env">): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ofDevicePlugin.test(name)));
}

function partPaths(id: RunId, paths: Paths) {
  return {
    secret: `${paths.secrets}/${nameOfRun(id)}`,
    service: `${paths.services}/${formatNetworkName(id)}`,
    policy: `${paths.networkPolicies}/${formatNetworkName(id)}`,
  };
}

function buildSecret(run: Run, marks: Marks): object {
  const metadata = { name: nameOfRun(run), ...marks };
  return { apiVersion: "v1", kind: "Secret", metadata, stringData: getUserVariables(run) };
}

/** Returns the Service by which the machines of a run find each other from their start on. */
function buildService(run: Run, marks: Marks): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: formatNetworkName(run), ...marks },
    spec: { clusterIP: "None", selector: buildSelector(run), publishNotReadyAddresses: true },
  };
}

/** Returns the policy between the machines of a run, the only traffic inside the cluster, and to allowed networks. */
function buildPolicy(run: Run, marks: Marks, allowed: readonly AllowedNetwork[]): object {
  const machines = run.shares.length > 1 ? [{ podSelector: { matchLabels: buildSelector(run) } }] : [];
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: formatNetworkName(run), ...marks },
    spec: {
      podSelector: { matchLabels: buildSelector(run) },
      // An empty list of peers would match all of them.
      ...(machines.length > 0
        ? { policyTypes: ["Ingress", "Egress"], ingress: [{ from: machines }] }
        : { policyTypes: ["Egress"] }),
      egress: [...(machines.length > 0 ? [{ to: machines }] : []), ...allowed.map(buildRule)],
    },
  };
}

function buildRule({ cidr, ports }: AllowedNetwork): object {
  const listed = ports.map((port) => ({ port, protocol: "TCP" }));
  return { to: [{ ipBlock: { cidr } }], ...(listed.length > 0 && { ports: listed }) };
}

function buildSelector({ uid, run }: RunId): Record<string, string> {
  return { [label.uid]: uid, [label.run]: String(run) };
}
