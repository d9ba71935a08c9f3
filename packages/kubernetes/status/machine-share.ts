import { findInstanceType, type InstanceType, unitsPerNode } from "#core/fleet.ts";
import type { Run } from "#core/ports/compute.ts";
import { parseQuantity } from "../client/quantities.ts";
import type { Node, Quantities } from "../objects.ts";

/**
 * Of a machine's processors and memory so much is given to runs: the rest is the kernel's, the kubelet's and that of the
 * pods that every node has. An m7i.8xlarge of 128 GB offers 121 to pods, a g4dn.2xlarge 7.91 of 8 processors.
 */
const OFFERED = 0.9;
const MB_OF_SHARED_UNIT = 4096;

/** What one machine of a run asks for and may use at most, both the same. Throws for a machine that Berth does not know. */
export function computeQuantities({ instanceType, shares, gpusPerMachine, resources }: ShareOfRun): Quantities {
  const type = findInstanceType(instanceType);
  const units = shares[0]?.units ?? 0;
  if (!type) throw new Error("No such instance type");
  if (units < 1 || shares.some((share) => share.units !== units))
    throw new Error("Its machines do not ask for the same");
  if (type.shared) return quantities(resources ?? { cpus: units, memoryMb: units * MB_OF_SHARED_UNIT });
  const gpus = gpusPerMachine === 0 ? {} : { "nvidia.com/gpu": String(gpusPerMachine) };
  return { ...buildPart(type, gpusPerMachine), ...gpus };
}

/**
 * Its part of the disk that a node keeps containers on: whoever fills all of it ends the runs of others too. How much
 * there is says the node alone; one that is still to be made says nothing yet.
 */
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

/** Processors and memory go with the GPUs; a machine without any is given whole. */
function buildPart(type: InstanceType, gpus: number): Quantities {
  const { cpus, memoryMb } = type.gpus === 0 ? ofWholeMachine(type) : ofOneGpu(type);
  const times = type.gpus === 0 ? 1 : gpus;
  return quantities({ cpus: cpus * times, memoryMb: memoryMb * times });
}

/** What a run has of a machine for each GPU that it has there. */
export function ofOneGpu(type: InstanceType): { readonly cpus: number; readonly memoryMb: number } {
  const { cpus, memoryMb } = ofWholeMachine(type);
  return { cpus: cpus / type.gpus, memoryMb: memoryMb / type.gpus };
}

/** What a run has that has the whole of a machine. */
export function ofWholeMachine({ vcpus, memoryGb }: InstanceType): {
  readonly cpus: number;
  readonly memoryMb: number;
} {
  return { cpus: vcpus * OFFERED, memoryMb: memoryGb * 1024 * OFFERED };
}

export function quantities({ cpus, memoryMb }: { readonly cpus: number; readonly memoryMb: number }): Quantities {
  return { cpu: `${Math.floor(cpus * 1000)}m`, memory: `${Math.floor(memoryMb)}Mi` };
}
