import type { OwnGroup } from "#aws/cluster-check/findings.ts";
import { findInstanceType, gpuResource, type InstanceType } from "#core/fleet.ts";
import { countEfaInterfaces } from "./efa.ts";
import { type AmiType, type NodeGroup, NodeGroups, TYPE_NAME } from "./node-group-schema.ts";

/** EKS allows 30 managed node groups in a cluster ("View and manage Amazon EKS service quotas"). One is the system's. */
const MOST_GROUPS = 30;
const EXAMPLE = '[{"name":"h100","type":"p5.48xlarge","max":2,"zones":["us-east-1a"]}]';

/** The machine type of the pods of the cluster itself. Berth offers it to no job. */
export const SYSTEM_TYPE = "m7i.large";
/** DNS, the driver of disks and others run twice, on two machines. */
export const SYSTEM_GROUP = "system";
export const SYSTEM_MACHINES = { minSize: 2, maxSize: 3 } as const;
export const SYSTEM_DISK_GB = 50;

/** The tag of a node group with EFA. EKS itself shows only its launch template. */
export const EFA_TAG = "berth:efa";

/** Types that Capacity Blocks have (Amazon EC2 User Guide, "Capacity Blocks for ML", prerequisites). */
const BLOCK_TYPE = /^(p4de?|p5(e|en)?|p6-b[23]00)\./;

/** Returns the node groups of a cluster with these groups, one for each zone. */
export function listOwnGroups({ groups }: { readonly groups: readonly NodeGroup[] }): OwnGroup[] {
  const made = groups.flatMap(({ name, zones, min, max }) =>
    zones.map((zone) => ({ name: `${name}-${zone}`, minSize: min, maxSize: max })),
  );
  return [{ name: SYSTEM_GROUP, ...SYSTEM_MACHINES }, ...made];
}

export interface ReadGroups {
  readonly groups: readonly NodeGroup[];
  readonly problems: readonly string[];
}

/** Parses EKS_NODE_GROUPS. `zones` are those of the cluster's network. Each problem names the group and the field. */
export function readNodeGroups(text: string, zones: readonly string[]): ReadGroups {
  const parsed = NodeGroups.safeParse(parseJson(text));
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `  EKS_NODE_GROUPS${formatPath(path)}: ${message}`);
    return { groups: [], problems: [...lines, `  EKS_NODE_GROUPS must be JSON like ${EXAMPLE}`] };
  }
  const groups = parsed.data;
  const problems = [
    ...groups.flatMap((group) => findContradictions(group, zones).map((line) => `group ${group.name} ${line}`)),
    ...findRepeated(groups).map((name) => `names the group ${name} twice`),
    ...(countNodeGroups(groups) > MOST_GROUPS
      ? [`makes more than the ${MOST_GROUPS} node groups that EKS allows`]
      : []),
  ];
  return { groups, problems: problems.map((line) => `  EKS_NODE_GROUPS ${line}`) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `[0].max`, as JavaScript writes it. */
function formatPath(path: readonly PropertyKey[]): string {
  return path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
}

function findContradictions(group: NodeGroup, zones: readonly string[]): string[] {
  const { min, max, spot, reservation, capacityBlock, type } = group;
  const ids = Object.entries({ spot: spot || undefined, reservation, capacityBlock }).filter(([, value]) => value);
  const outside = group.zones.filter((zone) => !zones.includes(zone));
  const isBlock = capacityBlock !== undefined;
  return [
    ...(min > max ? [`has min ${min} above max ${max}`] : []),
    ...(ids.length > 1 ? [`has ${ids.map(([name]) => name).join(" and ")}: choose one`] : []),
    ...(outside.length > 0 ? [`is in ${outside.join(", ")}, which EKS_ZONES does not name`] : []),
    ...(new Set(group.zones).size < group.zones.length ? ["names a zone twice"] : []),
    ...((reservation || isBlock) && group.zones.length > 1 ? ["has a reservation, which is in one zone only"] : []),
    ...(isBlock && !BLOCK_TYPE.test(type) ? [`has a capacityBlock, and AWS has none of ${type}`] : []),
    // Before the block begins, EC2 refuses its machines and EKS fails to create the group.
    ...(isBlock && min > 0 ? ["has a capacityBlock, so min must be 0: jobs start its machines"] : []),
    ...(group.efa && countEfaInterfaces(type) === 0 ? [`has efa, and Berth knows no EFA interfaces of ${type}`] : []),
    ...findAmiProblem(group),
    ...findResourceProblem(getType(type)),
  ];
}

/** The cluster gets only NVIDIA's driver and device plugin, and no MIG. */
function findResourceProblem(type: InstanceType): string[] {
  if (!TYPE_NAME.test(type.name)) return [`has type ${type.name}, which is no name of EC2`];
  if (type.gpus > 0 && isArm(type)) return [`has type ${type.name}: AMIs of EKS for ARM have no driver of NVIDIA`];
  const resource = gpuResource(type);
  if (resource === "nvidia.com/gpu") return [];
  return [`has type ${type.name}, whose GPUs are ${resource}: machines of the cluster offer only nvidia.com/gpu`];
}

function findAmiProblem({ type, ami }: NodeGroup): string[] {
  if (!ami || isSuitable(ami, getType(type))) return [];
  return [`has ami ${ami}, which does not suit ${type}: leave it out for ${defaultAmi(getType(type))}`];
}

/** GPU machines need NVIDIA's driver, and the architecture has to be the machine's. */
function isSuitable(ami: AmiType, type: InstanceType): boolean {
  return ami.endsWith("NVIDIA") === type.gpus > 0 && ami.includes("ARM_64") === isArm(type);
}

/**
 * Returns the AMI of a group that names none. Bottlerocket's for NVIDIA includes the device plugin, and Amazon Linux's
 * does not (EKS User Guide, "Install Kubernetes device plugin for GPUs").
 */
function defaultAmi(type: InstanceType): AmiType {
  if (type.gpus > 0) return "BOTTLEROCKET_x86_64_NVIDIA";
  return isArm(type) ? "AL2023_ARM_64_STANDARD" : "AL2023_x86_64_STANDARD";
}

export function chooseAmi({ type, ami }: NodeGroup): AmiType {
  return ami ?? defaultAmi(getType(type));
}

/** Returns how EC2 sells the machines of a group. */
export function chooseCapacity({ spot, capacityBlock }: NodeGroup): "CAPACITY_BLOCK" | "SPOT" | "ON_DEMAND" {
  if (capacityBlock) return "CAPACITY_BLOCK";
  return spot ? "SPOT" : "ON_DEMAND";
}

/** Graviton's families have a `g` after their generation (Amazon EC2 Instance Types, "Naming conventions"). */
function isArm({ name }: InstanceType): boolean {
  return /^[a-z]+\dg[a-z]*\./.test(name);
}

export function getType(name: string): InstanceType {
  const found = findInstanceType(name);
  if (!found) throw new Error(`${name} is no instance type of Berth`);
  return found;
}

function findRepeated(groups: readonly NodeGroup[]): string[] {
  const names = groups.map(({ name }) => name);
  return [...new Set(names.filter((name, at) => names.indexOf(name) < at))];
}

/** Counts the node groups of EKS: one in each zone of each group, and the system's. */
function countNodeGroups(groups: readonly NodeGroup[]): number {
  return groups.reduce((sum, { zones }) => sum + zones.length, 1);
}
