import type { Occupied } from "../plan/plan.ts";

export interface Owners {
  /** Distinct owners. The index is the owner's number. */
  readonly names: readonly string[];
  readonly numbers: Int32Array;
  readonly units: ReadonlyMap<string, number>;
}

const cache = new WeakMap<readonly Occupied[], Owners>();

/**
 * Returns the owners of a list, cached per list. A plan and its forecast ask five times for the same list, which has
 * 100,000 entries in a large pool.
 */
export function countUnitsByOwner(occupied: readonly Occupied[]): Owners {
  const found = cache.get(occupied) ?? findOwners(occupied);
  cache.set(occupied, found);
  return found;
}

export function unitsByOwner(occupied: readonly Occupied[]): ReadonlyMap<string, number> {
  return countUnitsByOwner(occupied).units;
}

function findOwners(occupied: readonly Occupied[]): Owners {
  const numberByKey = new Map<string, number>();
  const numbers = new Int32Array(occupied.length);
  const units: number[] = [];
  for (const [place, { owner, shares }] of occupied.entries()) {
    const number = numberByKey.get(owner) ?? numberByKey.size;
    if (number === numberByKey.size) numberByKey.set(owner, units.push(0) - 1);
    numbers[place] = number;
    for (const share of shares) units[number] = (units[number] ?? 0) + share.units;
  }
  const names = [...numberByKey.keys()];
  return { names, numbers, units: new Map(names.map((name, number) => [name, units[number] ?? 0])) };
}
