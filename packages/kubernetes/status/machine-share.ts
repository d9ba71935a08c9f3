import { findInstanceType, type InstanceType, unitsPerNode } from "#core/fleet.ts";
import type { Run } from "#core/ports/compute.ts";
import { parseQuantity } from "../client/quantities.ts";
import type { Node, Quantities } from "../objects.ts";

/** Share of a machine for runs: an m7i.8xlarge of 128 GB offers 121 GB to pods, a g4dn.2xlarge 7.91 of 8 processors. */
const OFFERED = 0.9;
const MB_OF_SHARED_UNIT = 4096;

/** Returns requests and limits, which are equal. */
export function computeQuantities({ instanceType, shares, gpusPerMachine, resources }: ShareOfRun): Quantities {
  const type = findInstanceType(instanceType);
  const units = shares[0]?.units ?? 0;
  if (!type) throw new Error("No such instance type");
  if (units < 1 || shares.some((share) => share.units !== units))
    throw new Error("The machines of a run must have equal shares");
  if (type.shared) return quantities(resources ?? { cpus: units, memoryMb: units * MB_OF_SHARED_UNIT });
  const gpus = gpusPerMachine === 0 ? {} : { "nvidia.com/gpu": String(gpusPerMachine) };
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

const STORAGE = "ephemeral-storage";

type ShareOfRun = Pick<Run, "instanceType" | "shares" | "gpusPerMachine" | "resources">;

function buildPart(type: InstanceType, gpus: number): Quantities {
  const { cpus, memoryMb } = type.gpus === 0 ? ofWholeMachine(type) : ofOneGpu(type);
  const times = type.gpus === 0 ? 1 : gpus;
  return quantities({ cpus: cpus * times, memoryMb: memoryMb * times });
}

export function ofOneGpu(type: InstanceType): { readonly cpus: number; readonly memoryMb: number } {
  const { cpus, memoryMb } = ofWholeMachine(type);
  return { cpus: cpus / type.gpus, memoryMb: memoryMb / type.gpus };
}

export function ofWholeMachine({ vcpus, memoryGb }: InstanceType): {
  readonly cpus: number;
  readonly memoryMb: number;
} {
  return { cpus: vcpus * OFFERED, memoryMb: memoryGb * 1024 * OFFERED };
}

export function quantities({ cpus, memoryMb }: { readonly cpus: number; readonly memoryMb: number }): Quantities {
  return { cpu: `${Math.floor(cpus * 1000)}m`, memory: `${Math.floor(memoryMb)}Mi` };
}
