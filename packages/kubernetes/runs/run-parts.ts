import type { RegistryLogin, Run } from "#core/ports/compute.ts";
import { findRegistry } from "#core/text/image-reference.ts";
import { webPaths } from "../access/web-parts.ts";
import {
  annotation,
  buildMarks,
  formatLoginName,
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
  const { secret, login, service, policy } = partPaths(run, paths);
  return [
    ...(hasEnv(run) ? [{ path: secret, body: buildSecret(run, marks) }] : []),
    ...(run.registryLogin ? [{ path: login, body: buildLogin(run, run.registryLogin, marks) }] : []),
    ...(run.shares.length > 1 ? [{ path: service, body: buildService(run, marks) }] : []),
    ...(run.shares.length > 1 || allowed.length > 0 ? [{ path: policy, body: buildPolicy(run, marks, allowed) }] : []),
  ];
}

/**
 * Returns the paths to delete after the Job, which cannot own older objects. Without Job and pod all may exist. A Job that
 * stays as a tombstone keeps what it owns.
 */
export function listPartPaths(
  id: RunId,
  { jobs: [job], pods }: RunObjects,
  paths: Paths,
  { isJobKept = false } = {},
): string[] {
  const { secret, login, service, policy } = partPaths(id, paths);
  const web = webPaths(id, paths);
  const pod = pods.find((pod) => getMachine(pod) === 0);
  const source = job ?? pod;
  // The Job owns the SSH Service, unless the Job was deleted without its dependents.
  const hasSsh = isJobKept ? job?.metadata.annotations?.[annotation.ssh] !== undefined : !job;
  const ssh = !hasSsh ? [] : [`${paths.services}/${formatSshServiceName(id)}`];
  if (!source) return [secret, login, service, policy, ...web, ...ssh];
  const { containers = [], imagePullSecrets = [] } = (job ? job.spec?.template?.spec : pod?.spec) ?? {};
  const hasSecret = containers.some(({ envFrom = [] }) => envFrom.length > 0);
  const isMulti = readShares(source).length > 1;
  const hasPolicy = isMulti || source.metadata.annotations?.[annotation.network] !== undefined;
  const hasPage = source.metadata.annotations?.[annotation.host] !== undefined;
  return [
    ...(hasSecret ? [secret] : []),
    ...(imagePullSecrets.some(({ name }) => name === formatLoginName(id)) ? [login] : []),
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
    login: `${paths.secrets}/${formatLoginName(id)}`,
    service: `${paths.services}/${formatNetworkName(id)}`,
    policy: `${paths.networkPolicies}/${formatNetworkName(id)}`,
  };
}

function buildSecret(run: Run, marks: Marks): object {
  const metadata = { name: nameOfRun(run), ...marks };
  return { apiVersion: "v1", kind: "Secret", metadata, stringData: getUserVariables(run) };
}

/** A login of Docker Hub has this key (Kubernetes, "Pull an Image from a Private Registry"). */
const DOCKER_HUB = "https://index.docker.io/v1/";

/** Formats the login as Docker's config.json, for this registry alone (Kubernetes, "Images", interpretation of config.json). */
export function formatDockerConfig(image: string, { username, password }: RegistryLogin): string {
  const registry = findRegistry(image) ?? "docker.io";
  const server = /^(index\.)?docker\.io$/.test(registry) ? DOCKER_HUB : registry;
  return JSON.stringify({ auths: { [server]: { username, password } } });
}

function buildLogin(run: Run, login: RegistryLogin, marks: Marks): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/dockerconfigjson",
    metadata: { name: formatLoginName(run), ...marks },
    stringData: { ".dockerconfigjson": formatDockerConfig(run.image, login) },
  };
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
