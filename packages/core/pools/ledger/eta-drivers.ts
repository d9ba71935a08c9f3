import type { PlanInput, QueuePlace } from "../plan/plan.ts";
import { unitsByOwner } from "./units-by-owner.ts";

/** What can move an estimated start: the ends that it waits for, new jobs of owners who hold less, or nothing. */
export const moveCodes = ["ends", "owners", "none"] as const;

/** A cause that may move the start of a waiting job, and a count. `moveText` puts it into words. */
export interface Move {
  readonly code: (typeof moveCodes)[number];
  readonly count: number;
}

/**
 * Returns what may move each start, by uid. The head's reserved start moves only with the ends it waits for. Other
 * starts also move with new jobs of owners who hold less than their owner will at that turn. The plan's grants must be
 * applied.
 */
export function planMoves({ occupied, waiting, head }: PlanInput, places: readonly QueuePlace[]): Map<string, Move> {
  const units = new Map(unitsByOwner(occupied));
  for (const { owner } of waiting) if (!units.has(owner)) units.set(owner, 0);
  const held = [...units.values()].sort((a, b) => a - b);
  const unitsAfter = new Map(units);
  const entries = new Map(waiting.map((entry) => [entry.uid, entry]));
  return new Map(
    places.flatMap(({ uid }): [string, Move][] => {
      const entry = entries.get(uid);
      if (!entry) return [];
      const before = unitsAfter.get(entry.owner) ?? 0;
      unitsAfter.set(entry.owner, before + entry.size.machines * entry.size.units);
      if (uid === head) return [[uid, { code: "ends", count: entry.size.machines * entry.size.units }]];
      const isOwn = (units.get(entry.owner) ?? 0) < before ? 1 : 0;
      const count = countBelow(held, before) - isOwn;
      return [[uid, { code: count > 0 ? "owners" : "none", count }]];
    }),
  );
}

export function moveText({ code, count }: Move): string {
  if (code === "ends") return "its start is reserved and moves only with the jobs it waits for";
  if (code === "none") return "";
  return `${count} ${count === 1 ? "owner holds" : "owners hold"} less: new jobs of theirs would start before it`;
}

function countBelow(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
