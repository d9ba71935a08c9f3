import { findInstanceType, gpuResource, type InstanceType, OFFERED, unitsPerNode } from "#core/fleet.ts";
import type { Resources, Run } from "#core/ports/compute.ts";
import { parseQuantity, type Requests } from "../client/quantities.ts";
import type { Node, Quantities } from "../objects.ts";

const MB_OF_SHARED_UNIT = 4096;

/** Returns requests and limits, which are equal. */
export function computeQuantities({ instanceType, shares, gpusPerMachine, resources }: ShareOfRun): Quantities {
  const type = findInstanceType(instanceType);
  const units = shares[0]?.units ?? 0;
  if (!type) throw new Error("No such instance type");
  if (units < 1 || shares.some((share) => share.units !== units))
    throw new Error("The machines of a run must have equal shares");
  if (type.shared) return quantities(resources ?? { cpus: units, memoryMb: units * MB_OF_SHARED_UNIT });
  const gpus = gpusPerMachine === 0 ? {} : { [gpuResource(type)]: String(gpusPerMachine) };
  return { ...buildPart(type, gpusPerMachine), ...gpus };
}

/** Returns the run's share of its node's disk, since a full disk ends other runs. A future node has no known size. */
export function computeStorage(
  { instanceType, shares, gpusPerMachine }: ShareOfRun,
  node: Node | undefined,
): Quantities {
  const type = findInstanceType(instanceType);
  const bytes = parseQuantity(node?.status?.allocatable?.[STORAGE]);
  if (!type || bytes === 0) return {};
  const units = type.gpus > 0 ? gpusPerMachine : (shares[0]?.units ?? 0);
  const megabytes = Math.floor((bytes / 1024 ** 2) * OFFERED * (units / unitsPerNode(type)));
  return megabytes > 0 ? { [STORAGE]: `${megabytes}Mi` } : {};
}

/** Network adapters, and memory of 2 MiB pages that their library uses (AWS, "EFA on Amazon EKS"). */
const usualResources = ["vpc.amazonaws.com/efa", "hugepages-2Mi"];

/**
 * Returns these resources of what a machine offers, for a run that has all of its GPUs. A part of a machine gets none: only
 * runs of whole machines reach each other.
 */
export function computeExtras(
  { instanceType, gpusPerMachine }: ShareOfRun,
  offered: Quantities,
  names: readonly string[] = usualResources,
): Quantities {
  const isWhole = gpusPerMachine > 0 && gpusPerMachine === findInstanceType(instanceType)?.gpus;
  const given = isWhole ? names.filter((name) => parseQuantity(offered[name]) > 0) : [];
  return Object.fromEntries(given.map((name) => [name, offered[name] ?? ""]));
}

const STORAGE = "ephemeral-storage";

type ShareOfRun = Pick<Run, "instanceType" | "shares" | "gpusPerMachine" | "resources">;

function buildPart(type: InstanceType, gpus: number): Quantities {
  const { cpus, memoryMb } = type.gpus === 0 ? ofWholeMachine(type) : ofOneGpu(type);
  const times = type.gpus === 0 ? 1 : gpus;
  // The static CPU manager reserves processors only for containers that request a whole number (Kubernetes, "Control CPU
  // Management Policies on the Node").
  return quantities({ cpus: Math.floor(cpus * times), memoryMb: memoryMb * times });
}

function ofOneGpu(type: InstanceType): Resources {
  const { cpus, memoryMb } = ofWholeMachine(type);
  return { cpus: cpus / type.gpus, memoryMb: memoryMb / type.gpus };
}

function ofWholeMachine({ vcpus, memoryGb }: InstanceType): Resources {
  return { cpus: vcpus * OFFERED, memoryMb: memoryGb * 1024 * OFFERED };
}

export function quantities({ cpus, memoryMb }: Resources): Quantities {
  return { cpu: `${Math.floor(cpus * 1000)}m`, memory: `${Math.floor(memoryMb)}Mi` };
}

export function withoutCpu({ cpu, ...others }: Quantities): Quantities {
  return others;
}

/** Returns the units that the kubelet offers, at most those of a machine of this type. */
export function countUnits(allocatable: Quantities, type: InstanceType): number {
  return fitting(type, toRequests(allocatable, type));
}

function toRequests(allocatable: Quantities, type: InstanceType): Requests {
  return {
    gpus: parseQuantity(allocatable[gpuResource(type)]),
    cpus: parseQuantity(allocatable.cpu),
    memoryMb: parseQuantity(allocatable.memory) / 1024 ** 2,
  };
}

/** Returns the units that foreign pods leave no room for, including the small pods on every node. */
export function foreignUnits(type: InstanceType, allocatable: Quantities, foreign: readonly Requests[]): number {
  const left = foreign.reduce(
    (rest, taken) => ({
      gpus: rest.gpus - taken.gpus,
      cpus: rest.cpus - taken.cpus,
      memoryMb: rest.memoryMb - taken.memoryMb,
    }),
    toRequests(allocatable, type),
  );
  return countUnits(allocatable, type) - fitting(type, left);
}

/** Returns the units that a pod of a run takes. */
export function unitsTaken(type: InstanceType, { gpus, cpus, memoryMb }: Requests): number {
  if (type.gpus > 0) return gpus;
  return type.shared ? Math.max(1, Math.ceil(cpus), Math.ceil(memoryMb / MB_OF_SHARED_UNIT)) : 1;
}

/** Tolerance, because shares of a machine are fractions. */
const ROUNDING = 1e-6;

/** Returns how many units of this type fit into the amounts, at most one machine's. */
function fitting(type: InstanceType, { gpus, cpus, memoryMb }: Requests): number {
  const times = (each: Resources) => Math.floor(Math.min(cpus / each.cpus, memoryMb / each.memoryMb) + ROUNDING);
  if (type.gpus > 0) return between(Math.min(type.gpus, gpus, times(ofOneGpu(type))));
  if (!type.shared) return between(Math.min(1, times(ofWholeMachine(type))));
  return between(Math.min(type.vcpus, times({ cpus: 1, memoryMb: MB_OF_SHARED_UNIT })));
}

function between(units: number): number {
  return Math.max(0, Math.floor(units));
}
