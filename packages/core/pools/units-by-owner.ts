import type { Occupied } from "./plan.ts";

const known = new WeakMap<readonly Occupied[], ReadonlyMap<string, number>>();

/**
 * Returns the units that each owner has. A plan and its forecast ask four times for the same list, which in a large pool
 * has a hundred thousand entries, so the answer for a list is kept as long as the list.
 */
export function unitsByOwner(occupied: readonly Occupied[]): ReadonlyMap<string, number> {
  const found = known.get(occupied) ?? countUnits(occupied);
  known.set(occupied, found);
  return found;
}

function countUnits(occupied: readonly Occupied[]): ReadonlyMap<string, number> {
  const units = new Map<string, number>();
  for (const { owner, shares } of occupied) {
    let sum = units.get(owner) ?? 0;
    for (const share of shares) sum += share.units;
    units.set(owner, sum);
  }
  return units;
}
