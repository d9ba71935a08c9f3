import type { InstanceType } from "#core/fleet.ts";
import { parseQuantity, type Requests } from "../client/quantities.ts";
import type { Quantities } from "../objects.ts";
import { ofOneGpu, ofWholeMachine } from "../status/machine-share.ts";

/** As the kubelet offers it, and never more than a machine of its type has, or than runs of that type fit there. */
export function countUnits(allocatable: Quantities, type: InstanceType): number {
  return fitting(type, {
    gpus: parseQuantity(allocatable["nvidia.com/gpu"]),
    cpus: parseQuantity(allocatable.cpu),
    memoryMb: parseQuantity(allocatable.memory) / 1024 ** 2,
  });
}

/** Those of its units that no run fits into any more for what pods of others ask for, the small ones of every node too. */
export function foreignUnits(type: InstanceType, allocatable: Quantities, foreign: readonly Requests[]): number {
  const sum = (of: (taken: Requests) => number) => foreign.reduce((all, taken) => all + of(taken), 0);
  const left = fitting(type, {
    gpus: parseQuantity(allocatable["nvidia.com/gpu"]) - sum(({ gpus }) => gpus),
    cpus: parseQuantity(allocatable.cpu) - sum(({ cpus }) => cpus),
    memoryMb: parseQuantity(allocatable.memory) / 1024 ** 2 - sum(({ memoryMb }) => memoryMb),
  });
  return countUnits(allocatable, type) - left;
}

/** What a pod of ours has of its node. */
export function unitsTaken(type: InstanceType, { gpus, cpus, memoryMb }: Requests): number {
  if (type.gpus > 0) return gpus;
  return type.shared ? Math.max(1, Math.ceil(cpus), Math.ceil(memoryMb / MB_OF_UNIT)) : 1;
}

const MB_OF_UNIT = 4096;
/** Parts of a machine are no whole numbers. */
const ROUNDING = 1e-6;

/** How many units of this type these amounts are, at most those of one machine. */
function fitting(type: InstanceType, { gpus, cpus, memoryMb }: Requests): number {
  const times = (each: { readonly cpus: number; readonly memoryMb: number }) =>
    Math.floor(Math.min(cpus / each.cpus, memoryMb / each.memoryMb) + ROUNDING);
  if (type.gpus > 0) return between(Math.min(type.gpus, gpus, times(ofOneGpu(type))));
  if (!type.shared) return between(Math.min(1, times(ofWholeMachine(type))));
  return between(Math.min(type.vcpus, times({ cpus: 1, memoryMb: MB_OF_UNIT })));
}

function between(units: number): number {
  return Math.max(0, Math.floor(units));
}
