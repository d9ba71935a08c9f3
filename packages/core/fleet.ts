import { parseMachineTypes } from "./machine-types.ts";
import type { Resources } from "./ports/compute.ts";

/** A machine type that users can request (docs/apis/gpu-dev.md#instance-types). */
export interface InstanceType {
  readonly name: string;
  readonly pool: string;
  readonly gpus: number;
  readonly vcpus: number;
  readonly memoryGb: number;
  /** Shared by vCPU, with 4 GB of memory each. On other types, jobs take whole GPUs or the whole machine. */
  readonly shared?: true;
  /** Resource of Kubernetes that counts its GPUs, such as `nvidia.com/mig-1g.10gb`. Absent: `nvidia.com/gpu`. */
  readonly resource?: string;
}

const tableTypes: readonly InstanceType[] = [
  { name: "g4dn.12xlarge", pool: "t4", gpus: 4, vcpus: 48, memoryGb: 192 },
  { name: "g4dn.2xlarge", pool: "t4-small", gpus: 1, vcpus: 8, memoryGb: 32 },
  { name: "g6.12xlarge", pool: "l4", gpus: 4, vcpus: 48, memoryGb: 192 },
  { name: "g5.12xlarge", pool: "a10g", gpus: 4, vcpus: 48, memoryGb: 192 },
  { name: "p4d.24xlarge", pool: "a100", gpus: 8, vcpus: 96, memoryGb: 1152 },
  { name: "p5.48xlarge", pool: "h100", gpus: 8, vcpus: 192, memoryGb: 2048 },
  { name: "p5e.48xlarge", pool: "h200", gpus: 8, vcpus: 192, memoryGb: 2048 },
  { name: "p6-b200.48xlarge", pool: "b200", gpus: 8, vcpus: 192, memoryGb: 2048 },
  { name: "c7i.8xlarge", pool: "cpu-x86", gpus: 0, vcpus: 32, memoryGb: 64 },
  { name: "c7g.8xlarge", pool: "cpu-arm", gpus: 0, vcpus: 32, memoryGb: 64 },
];

/** The machine that environments share by vCPU. A job cannot reserve a whole one. */
export const sharedType = {
  name: "m7i.8xlarge",
  pool: "cpu-shared",
  gpus: 0,
  vcpus: 32,
  memoryGb: 128,
  shared: true,
} as const satisfies InstanceType;

/** The types of every deployment. */
export const builtInTypes: readonly InstanceType[] = [...tableTypes, sharedType];

/** Part of a machine that runs get. An m7i.8xlarge of 128 GB offers 121 GB to pods, a g4dn.2xlarge 7.91 of 8 processors. */
export const OFFERED = 0.9;

const SETTING = "MACHINE_TYPES";

/**
 * The types that MACHINE_TYPES adds. The processes of a deployment all have the same types while they live, so these are
 * constants as the table is, and no function takes them as a parameter. A start refuses a setting with a problem, and so
 * does a deployment (machine-types-problem.ts).
 */
// biome-ignore lint/style/noRestrictedGlobals: it is read once, before anything uses a type.
const addedTypes = parseMachineTypes(process.env[SETTING] ?? "");

/** The types that jobs may request. */
export const instanceTypes: readonly InstanceType[] = [...tableTypes, ...addedTypes];

const allTypes: readonly InstanceType[] = [...instanceTypes, sharedType];

/** Reports whether MACHINE_TYPES adds a type. */
export function isAddedType(name: string): boolean {
  return addedTypes.some((type) => type.name === name);
}

const GPU = "nvidia.com/gpu";

/** Returns the resource of Kubernetes that counts the GPUs of a type. */
export function gpuResource({ resource = GPU }: Pick<InstanceType, "resource">): string {
  return resource;
}

/** The most machines that one job may take. */
export const MOST_MACHINES = 8;

/** Returns the numbers of GPUs that a job may request of a type: part of a machine, or 1 to 8 whole machines. */
export function countOptions({ gpus }: InstanceType): number[] {
  if (gpus === 0) return [0];
  const parts = [1, 2, 4, 8, 16, 32].filter((count) => count < gpus);
  return [...parts, ...Array.from({ length: MOST_MACHINES }, (_, more) => gpus * (1 + more))];
}

export const poolTypes: readonly string[] = allTypes.map(({ pool }) => pool);

export const instanceTypeNames: readonly string[] = allTypes.map(({ name }) => name);

export function findInstanceType(name: string): InstanceType | undefined {
  return allTypes.find((type) => type.name === name);
}

/** Returns the machine type of a pool. Throws for an unknown pool. */
export function instanceTypeOfPool(pool: string): InstanceType {
  const found = allTypes.find((type) => type.pool === pool);
  if (!found) throw new Error(`No instance type belongs to pool ${pool}`);
  return found;
}

/** Returns the units of one machine: its GPUs, the vCPUs of a shared machine, or 1. */
export function unitsPerNode(type: InstanceType): number {
  return type.shared ? type.vcpus : type.gpus || 1;
}

const MB_PER_UNIT = 4096;

/** Returns the units of a shared machine that these resources take. */
export function sharedUnits({ cpus, memoryMb }: Resources): number {
  return Math.max(1, Math.ceil(cpus), Math.ceil(memoryMb / MB_PER_UNIT));
}

/** Caps resources at the size of these units of a shared machine. */
export function withinUnits({ cpus, memoryMb }: Resources, units: number): Resources {
  return { cpus: Math.min(cpus, units), memoryMb: Math.min(memoryMb, units * MB_PER_UNIT) };
}
