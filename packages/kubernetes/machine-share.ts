import type { Run } from "#core/context.ts";
import { findInstanceType, type InstanceType } from "#core/fleet.ts";
import type { Quantities } from "./objects.ts";

/**
 * Of a machine's processors and memory so much is given to runs: the rest is the kernel's, the kubelet's and that of the
 * pods that every node has. An m7i.8xlarge of 128 GB offers 121 to pods, a g4dn.2xlarge 7.91 of 8 processors.
 */
const OFFERED = 0.9;
const MB_OF_SHARED_UNIT = 4096;

/** What one machine of a run asks for and may use at most, both the same. Throws for a machine that Berth does not know. */
export function quantitiesOf({ instanceType, shares, gpusPerMachine, resources }: ShareOfRun): Quantities {
  const type = findInstanceType(instanceType);
  const units = shares[0]?.units ?? 0;
  if (!type) throw new Error("No such instance type");
  if (units < 1 || shares.some((share) => share.units !== units))
    throw new Error("Its machines do not ask for the same");
  if (type.shared) return quantities(resources ?? { cpus: units, memoryMb: units * MB_OF_SHARED_UNIT });
  const gpus = gpusPerMachine === 0 ? {} : { "nvidia.com/gpu": String(gpusPerMachine) };
  return { ...partOf(type, gpusPerMachine), ...gpus };
}

type ShareOfRun = Pick<Run, "instanceType" | "shares" | "gpusPerMachine" | "resources">;

/** Processors and memory go with the GPUs; a machine without any is given whole. */
function partOf(type: InstanceType, gpus: number): Quantities {
  const part = (type.gpus === 0 ? 1 : gpus / type.gpus) * OFFERED;
  return quantities({ cpus: type.vcpus * part, memoryMb: type.memoryGb * 1024 * part });
}

export function quantities({ cpus, memoryMb }: { readonly cpus: number; readonly memoryMb: number }): Quantities {
  return { cpu: `${Math.floor(cpus * 1000)}m`, memory: `${Math.floor(memoryMb)}Mi` };
}
