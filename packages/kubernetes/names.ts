import type { Run, RunPort, RunRef } from "#core/ports/compute.ts";
import type { KubeObject, Metadata } from "./objects.ts";

/** One start of an environment. */
export type RunId = Pick<RunRef, "uid" | "run">;

/** Labels that also let people find objects: `kubectl get jobs -l berth/name=training`. */
export const label = {
  managedBy: "app.kubernetes.io/managed-by",
  /** Distinguishes control planes that share a cluster. */
  deployment: "berth/deployment",
  uid: "berth/uid",
  run: "berth/run",
  pool: "berth/pool",
  name: "berth/name",
  /** Marks pods that the disruption budget does not protect, because their jobs return to the queue. */
  evictable: "berth/evictable",
} as const;

export const annotation = {
  key: "berth/key",
  /** Name of the environment as the user wrote it. */
  name: "berth/name",
  /** Granted nodes in the order of the machines, and the units of each, as JSON. */
  shares: "berth/shares",
  ports: "berth/ports",
  /** Nodes that the pods were bound to, by index of the machine, as JSON of names, uids and provider ids. */
  bound: "berth/bound",
  /** Present once further commands ran in the run. */
  execs: "berth/execs",
  /** Present while Jupyter is requested. */
  jupyter: "berth/jupyter",
  host: "berth/host",
  /** On pods of several machines only. The pods show it as a file. */
  hostfile: "berth/hostfile",
  /** Node port of the SSH server; absent while the run has no key. */
  ssh: "berth/ssh",
  access: "berth/access",
  /** Present if the run has a network policy although it has one machine. */
  network: "berth/network",
  /** Revision of the limits that were applied last. */
  resized: "berth/resized",
} as const;

const managedBy = "berth";

/** Returns the name of a run's first Job and its Secret. Throws for ids that the core never creates. */
export function nameOfRun(id: RunId): string {
  requireRun(id);
  return `${id.uid}-r${id.run}`;
}

/** Returns the run of such a name. Throws for any other text. */
export function parseRunName(name: string): RunId {
  const [, uid = "", run = ""] = /^([^-]*)-r(\d+)$/.exec(name) ?? [];
  const id = { uid, run: Number(run) };
  requireRun(id);
  return id;
}

/** Name of the Service and the NetworkPolicy of a multi-machine run. A Service's name must begin with a letter. */
export function formatNetworkName(id: RunId): string {
  return `run-${nameOfRun(id)}`;
}

export function formatWebName(id: RunId): string {
  return `web-${nameOfRun(id)}`;
}

/** Name of the Secret with a run's own login to a registry. */
export function formatLoginName(id: RunId): string {
  return `registry-${nameOfRun(id)}`;
}

export function formatSshServiceName(id: RunId): string {
  return `ssh-${nameOfRun(id)}`;
}

/** Machines count from 0. */
export function formatJobName(id: RunId, machine: number): string {
  return machine === 0 ? nameOfRun(id) : `${nameOfRun(id)}-m${machine}`;
}

/** Host name of a machine of a run. */
export function formatHostName(machine: number): string {
  return `machine-${machine}`;
}

/** Returns the name by which the machines of a run resolve one of them, through the run's headless Service. */
export function formatMachineAddress(id: RunId, machine: number): string {
  return `${formatHostName(machine)}.${formatNetworkName(id)}`;
}

/** Validates an id, because names and selectors contain it unescaped. */
function requireRun({ uid, run }: RunId): void {
  if (!/^[0-9a-f]{32}$/.test(uid)) throw new Error("The uid of a run must be 32 hexadecimal digits");
  if (!Number.isInteger(run) || run < 1 || run > 999_999) throw new Error("The number of a run must be 1 to 999999");
}

export function runSelector(id: RunId): string {
  requireRun(id);
  return `labelSelector=${encodeURIComponent(`${label.uid}=${id.uid},${label.run}=${id.run}`)}`;
}

export function selectorOfUids(uids: readonly string[]): string {
  for (const uid of uids) requireRun({ uid, run: 1 });
  return `labelSelector=${encodeURIComponent(`${label.uid} in (${uids.join(",")})`)}`;
}

/** Returns a selector for all runs of a deployment, or of one uid in it. Throws if either is invalid. */
export function everyRunSelector(deployment: string, uid?: string): string {
  if (uid !== undefined) requireRun({ uid, run: 1 });
  return deploymentSelector(deployment, uid === undefined ? label.uid : `${label.uid}=${uid}`);
}

/** Returns a selector for the objects of a deployment that meet the requirement. */
export function deploymentSelector(deployment: string, requirement: string): string {
  const labels = Object.entries(deploymentLabels(deployment)).map(([name, value]) => `${name}=${value}`);
  return `labelSelector=${encodeURIComponent([...labels, requirement].join(","))}`;
}

/** Returns the labels of every object. Other control planes in the namespace would otherwise delete them as orphans. */
export function deploymentLabels(deployment: string): Record<string, string> {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(deployment))
    throw new Error("The name of the deployment is invalid");
  return { [label.managedBy]: managedBy, [label.deployment]: deployment };
}

/** Returns the labels and annotations of a run's Job and pods, so that each identifies the run alone. */
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

/** Labels that find a run's other objects, and the annotation with the key of its record. */
export interface Marks {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function buildMarks(run: Marked, deployment: string): Marks {
  return { labels: buildLabels(run, deployment), annotations: { [annotation.key]: run.key } };
}

/** Reduces a text to a valid label: letters, digits, `-`, `_`, `.`, at most 63, with a letter or digit at both ends. */
export function labelValue(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9._-]/g, "_")
    .slice(0, 63)
    .replace(/^[._-]+/, "")
    .replace(/[._-]+$/, "");
}

/** Returns the run of an object. Labels alone do not count: a Job needs the run's name, a pod needs that Job. */
export function findRun({ metadata }: KubeObject, kind: "Job" | "Pod"): RunRef | undefined {
  const ref = labelledRun(metadata);
  const named = kind === "Job" ? metadata.name : findMaker(metadata);
  return ref && named?.replace(machinePart, "") === nameOfRun(ref) ? ref : undefined;
}

/** Returns the run that the labels claim. The claim holds only if the object's name matches too. */
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

/** Returns the name of a pod's Job. After a deletion without its pods, `generateName` still has it. */
function findMaker({ name, generateName = "", ownerReferences = [] }: Metadata): string | undefined {
  const owner = ownerReferences.find(({ kind }) => kind === "Job");
  const isOrphan = ownerReferences.length === 0 && generateName.endsWith("-") && name.startsWith(generateName);
  return owner?.name ?? (isOrphan ? generateName.slice(0, -1) : undefined);
}

export function getMachine({ metadata }: KubeObject): number {
  const [, machine = "0"] = machinePart.exec(findMaker(metadata) ?? metadata.name) ?? [];
  return Number(machine);
}

/** Suffix of a Job's name. No run has 100 machines, so a higher number is foreign and never sizes a list. */
const machinePart = /-m([1-9]\d?)$/;

/** Returns the granted nodes in the order of the machines; null where the cluster chose. */
export function readShares({ metadata }: KubeObject): Run["shares"] {
  return parseAnnotation<Run["shares"]>(metadata, annotation.shares) ?? [];
}

export function readPorts({ metadata }: KubeObject): readonly RunPort[] {
  return parseAnnotation<readonly RunPort[]>(metadata, annotation.ports) ?? [];
}

/** Returns the array in an annotation. Returns undefined if it is missing or was overwritten with something else. */
export function parseAnnotation<Value extends object>({ annotations }: Metadata, name: string): Value | undefined {
  try {
    const value = JSON.parse(annotations?.[name] ?? "") as unknown;
    return Array.isArray(value) ? (value as unknown as Value) : undefined;
  } catch {
    return undefined;
  }
}

/** Id of a volume: the name of its claim, derived from its token, and the claim's uid, which is never reused. */
export interface ClaimId {
  readonly name: string;
  readonly uid: string;
}

export function volumeId({ name, uid }: ClaimId): string {
  return `${name}.${uid}`;
}

/** Parses the id of a cluster volume. Returns undefined for any other id. */
export function parseClaimId(id: string): ClaimId | undefined {
  const [, name, uid] = /^(volume-[0-9a-f]{40})\.([0-9a-f-]{36})$/.exec(id) ?? [];
  return name === undefined || uid === undefined ? undefined : { name, uid };
}

/** Reports whether the id is one of EBS. Only such an id may become the name of an object. */
export function isEbsVolume(id: string): boolean {
  return /^vol-[0-9a-f]{8,17}$/.test(id);
}

/** Returns the name of a volume's claim, or undefined if no run can have that volume. EBS claims use the id. */
export function formatClaimName(id: string): string | undefined {
  return isEbsVolume(id) ? id : parseClaimId(id)?.name;
}

/** Returns the label of pods that mount the claim, so that one query finds a volume's users. */
export function mountLabel({ name }: Pick<ClaimId, "name">): string {
  return `mounts.berth/${name}`;
}
