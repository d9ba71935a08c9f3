import type { InstanceType } from "#core/fleet.ts";
import { parseQuantity, type Requests } from "../client/quantities.ts";
import type { Quantities } from "../objects.ts";
import { ofOneGpu, ofWholeMachine } from "../status/machine-share.ts";

/** Returns the units that the kubelet offers, at most those of a machine of this type. */
export function countUnits(allocatable: Quantities, type: InstanceType): number {
  return fitting(type, {
    gpus: parseQuantity(allocatable["nvidia.com/gpu"]),
    cpus: parseQuantity(allocatable.cpu),
    memoryMb: parseQuantity(allocatable.memory) / 1024 ** 2,
  });
}

/** Returns the units that foreign pods leave no room for, including the small pods on every node. */
export function foreignUnits(type: InstanceType, allocatable: Quantities, foreign: readonly Requests[]): number {
  const sum = (of: (taken: Requests) => number) => foreign.reduce((all, taken) => all + of(taken), 0);
  const left = fitting(type, {
    gpus: parseQuantity(allocatable["nvidia.com/gpu"]) - sum(({ gpus }) => gpus),
    cpus: parseQuantity(allocatable.cpu) - sum(({ cpus }) => cpus),
    memoryMb: parseQuantity(allocatable.memory) / 1024 ** 2 - sum(({ memoryMb }) => memoryMb),
  });
  return countUnits(allocatable, type) - left;
}

/** Returns the units that a pod of a run takes. */
export function unitsTaken(type: InstanceType, { gpus, cpus, memoryMb }: Requests): number {
  if (type.gpus > 0) return gpus;
  return type.shared ? Math.max(1, Math.ceil(cpus), Math.ceil(memoryMb / MB_OF_UNIT)) : 1;
}

const MB_OF_UNIT = 4096;
/** Tolerance, because shares of a machine are fractions. */
const ROUNDING = 1e-6;

/** Returns how many units of this type fit into the amounts, at most one machine's. */
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
