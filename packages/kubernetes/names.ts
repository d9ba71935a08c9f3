import type { Run, RunPort, RunRef } from "#core/ports/compute.ts";
import type { KubeObject, Metadata } from "./objects.ts";

/** One life of an environment. */
export type RunId = Pick<RunRef, "uid" | "run">;

/** By these a person finds what belongs to an environment: `kubectl get jobs -l berth/name=training`. */
export const label = {
  managedBy: "app.kubernetes.io/managed-by",
  /** Which of the control planes that share a cluster. */
  deployment: "berth/deployment",
  uid: "berth/uid",
  run: "berth/run",
  pool: "berth/pool",
  name: "berth/name",
} as const;

export const annotation = {
  /** The record's key. */
  key: "berth/key",
  /** The environment's name as it was given. */
  name: "berth/name",
  /** The nodes that it was granted, in their order, and the units of each: JSON. */
  shares: "berth/shares",
  /** Where it listens: JSON. */
  ports: "berth/ports",
  /** The nodes that it was bound to, by the index of the machine: JSON of names, uids and provider ids. */
  bound: "berth/bound",
  /** Commands were run in it beside its own. */
  execs: "berth/execs",
  /** Jupyter is wanted. */
  jupyter: "berth/jupyter",
  /** The name of the host at which its page is. */
  host: "berth/host",
  /** The port of its node that leads to its SSH server; there is none where no key would get in. */
  ssh: "berth/ssh",
  /** The revision of the access that it was told of last. */
  access: "berth/access",
  /** The revision of the limits that it was given last. */
  resized: "berth/resized",
} as const;

const managedBy = "berth";

/** The name of a run's first Job and its Secret; throws for what the core never makes. */
export function nameOfRun(id: RunId): string {
  requireRun(id);
  return `${id.uid}-r${id.run}`;
}

/** Of the Service and the NetworkPolicy of a run of several machines: the name of a Service begins with a letter. */
export function formatNetworkName(id: RunId): string {
  return `run-${nameOfRun(id)}`;
}

/** Of the Service and the Ingress that lead to its page. */
export function formatWebName(id: RunId): string {
  return `web-${nameOfRun(id)}`;
}

/** Of the Service that leads to its SSH server. */
export function formatSshServiceName(id: RunId): string {
  return `ssh-${nameOfRun(id)}`;
}

/** The name of the Job of one machine of a run, from 0. */
export function formatJobName(id: RunId, machine: number): string {
  return machine === 0 ? nameOfRun(id) : `${nameOfRun(id)}-m${machine}`;
}

/** By it the other machines of a run find one, where there are several. */
export function formatHostName(machine: number): string {
  return `machine-${machine}`;
}

/** Names and selectors hold both as they are. */
function requireRun({ uid, run }: RunId): void {
  if (!/^[0-9a-f]{32}$/.test(uid)) throw new Error("The uid of a run is 32 hexadecimal digits");
  if (!Number.isInteger(run) || run < 1 || run > 999_999) throw new Error("The number of a run is one of 1 to 999999");
}

/** Selects everything of a run; throws as `nameOfRun` does. */
export function runSelector(id: RunId): string {
  requireRun(id);
  return `labelSelector=${encodeURIComponent(`${label.uid}=${id.uid},${label.run}=${id.run}`)}`;
}

/** Selects everything of every run of these uids; throws as `nameOfRun` does. */
export function selectorOfUids(uids: readonly string[]): string {
  for (const uid of uids) requireRun({ uid, run: 1 });
  return `labelSelector=${encodeURIComponent(`${label.uid} in (${uids.join(",")})`)}`;
}

/** Selects everything of every run of one deployment, or of those of one uid; throws for what is none. */
export function everyRunSelector(deployment: string, uid?: string): string {
  if (uid !== undefined) requireRun({ uid, run: 1 });
  const selector = [
    ...Object.entries(deploymentLabels(deployment)).map(([name, value]) => `${name}=${value}`),
    uid === undefined ? label.uid : `${label.uid}=${uid}`,
  ].join(",");
  return `labelSelector=${encodeURIComponent(selector)}`;
}

/**
 * On every object: what another control plane made in the same namespace is in no record of this one, which would remove
 * it as left behind. Throws for what is no name of a deployment.
 */
export function deploymentLabels(deployment: string): Record<string, string> {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(deployment)) throw new Error("That is no name of a deployment");
  return { [label.managedBy]: managedBy, [label.deployment]: deployment };
}

/** Carried by a run's Job and its pods, so that either says whose it is while the other is gone. */
export function buildMetadata(
  run: Run,
  deployment: string,
): { labels: Record<string, string>; annotations: Record<string, string> } {
  return {
    labels: buildLabels(run, deployment),
    annotations: {
      [annotation.key]: run.key,
      [annotation.name]: run.name,
      [annotation.shares]: JSON.stringify(run.shares),
      [annotation.ports]: JSON.stringify(run.ports),
    },
  };
}

type Marked = Pick<Run, "uid" | "run" | "key" | "name" | "pool">;

function buildLabels(run: Marked, deployment: string): Record<string, string> {
  return {
    ...deploymentLabels(deployment),
    [label.uid]: run.uid,
    [label.run]: String(run.run),
    [label.pool]: labelValue(run.pool),
    [label.name]: labelValue(run.name),
  };
}

/** By its labels what a run has beside its Jobs is found, and by its annotation the record whose it is. */
export interface Marks {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function buildMarks(run: Marked, deployment: string): Marks {
  return { labels: buildLabels(run, deployment), annotations: { [annotation.key]: run.key } };
}

/** As much of a text as a label may hold: letters, digits, `-`, `_`, `.`, at most 63, a letter or digit at both ends. */
export function labelValue(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9._-]/g, "_")
    .slice(0, 63)
    .replace(/^[._-]+/, "")
    .replace(/[._-]+$/, "");
}

/** Whose an object is; undefined: not a run's, whatever its labels say. A pod is a run's only if its Job made it. */
export function findRun({ metadata }: KubeObject, kind: "Job" | "Pod"): RunRef | undefined {
  const ref = labelledRun(metadata);
  const named = kind === "Job" ? metadata.name : findMaker(metadata);
  return ref && named?.replace(machinePart, "") === nameOfRun(ref) ? ref : undefined;
}

/** Whose an object's labels say that it is, which is true only where its name says so as well. */
export function labelledRun({ labels, annotations }: Metadata): RunRef | undefined {
  const [uid = "", run = 0] = [labels?.[label.uid], Number(labels?.[label.run])];
  return nameIfAny({ uid, run }) === undefined ? undefined : { uid, run, key: annotations?.[annotation.key] ?? "" };
}

function nameIfAny(id: RunId): string | undefined {
  try {
    return nameOfRun(id);
  } catch {
    return undefined;
  }
}

/** The name of the Job that made a pod. One that somebody deleted without its pods is named by them alone. */
function findMaker({ name, generateName = "", ownerReferences = [] }: Metadata): string | undefined {
  const owner = ownerReferences.find(({ kind }) => kind === "Job");
  const isOrphan = ownerReferences.length === 0 && generateName.endsWith("-") && name.startsWith(generateName);
  return owner?.name ?? (isOrphan ? generateName.slice(0, -1) : undefined);
}

/** Which machine of its run a Job, or the Job of a pod, is of. */
export function getMachine({ metadata }: KubeObject): number {
  const [, machine = "0"] = machinePart.exec(findMaker(metadata) ?? metadata.name) ?? [];
  return Number(machine);
}

/** No run has a hundred machines: a Job of a higher number is somebody else's, and no list is made as long. */
const machinePart = /-m([1-9]\d?)$/;

/** The nodes that were granted, in their order; null where the cluster chose. */
export function readShares({ metadata }: KubeObject): Run["shares"] {
  return parseAnnotation<Run["shares"]>(metadata, annotation.shares) ?? [];
}

export function readPorts({ metadata }: KubeObject): readonly RunPort[] {
  return parseAnnotation<readonly RunPort[]>(metadata, annotation.ports) ?? [];
}

/** What an annotation holds; undefined where there is none, or where somebody wrote something else into it. */
export function parseAnnotation<Value extends object>({ annotations }: Metadata, name: string): Value | undefined {
  try {
    const value = JSON.parse(annotations?.[name] ?? "") as unknown;
    return Array.isArray(value) ? (value as unknown as Value) : undefined;
  } catch {
    return undefined;
  }
}

/** The id of a volume: the name of its claim, which its token makes, and the claim's uid, which no other ever has. */
export interface ClaimId {
  readonly name: string;
  readonly uid: string;
}

export function volumeId({ name, uid }: ClaimId): string {
  return `${name}.${uid}`;
}

/** undefined: that is the id of no volume of a cluster. */
export function parseClaimId(id: string): ClaimId | undefined {
  const [, name, uid] = /^(volume-[0-9a-f]{40})\.([0-9a-f-]{36})$/.exec(id) ?? [];
  return name === undefined || uid === undefined ? undefined : { name, uid };
}

/** Whether a text is the id of a volume of EBS: nothing else becomes the name of an object. */
export function isEbsVolume(id: string): boolean {
  return /^vol-[0-9a-f]{8,17}$/.test(id);
}

/** The name of a volume's claim: one of EBS has the volume's id. undefined: that is the id of no volume that a run could have. */
export function formatClaimName(id: string): string | undefined {
  return isEbsVolume(id) ? id : parseClaimId(id)?.name;
}

/** On a pod that mounts the claim: who has a volume is one question, however many pods there are. */
export function mountLabel({ name }: Pick<ClaimId, "name">): string {
  return `mounts.berth/${name}`;
}
