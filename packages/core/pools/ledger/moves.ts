import type { Place, PlanInput } from "../plan/plan.ts";
import { unitsByOwner } from "./units-by-owner.ts";

/** What moves a start: the ends that it waits for, new jobs of owners who hold less, or nothing. */
export const moveCodes = ["ends", "owners", "none"] as const;

/** What may move the start of somebody who waits: a code and a number, put into words by `moveText`. */
export interface Move {
  readonly code: (typeof moveCodes)[number];
  readonly count: number;
}

/**
 * The reserved start of the head moves with the ends it waits for; everybody else's also with new jobs of the owners who
 * hold less than its owner will at its turn. By uid, of a plan whose grants are among what is occupied.
 */
export function movesOf({ occupied, waiting, head }: PlanInput, places: readonly Place[]): Map<string, Move> {
  const units = new Map(unitsByOwner(occupied));
  for (const { owner } of waiting) if (!units.has(owner)) units.set(owner, 0);
  const held = [...units.values()].sort((a, b) => a - b);
  const own = new Map(units);
  const entries = new Map(waiting.map((entry) => [entry.uid, entry]));
  return new Map(
    places.flatMap(({ uid }): [string, Move][] => {
      const entry = entries.get(uid);
      if (!entry) return [];
      const before = own.get(entry.owner) ?? 0;
      own.set(entry.owner, before + entry.size.machines * entry.size.units);
      if (uid === head) return [[uid, { code: "ends", count: entry.size.machines * entry.size.units }]];
      const isOwn = (units.get(entry.owner) ?? 0) < before ? 1 : 0;
      const count = countBelow(held, before) - isOwn;
      return [[uid, { code: count > 0 ? "owners" : "none", count }]];
    }),
  );
}

/** In words, as a part of why somebody waits; empty where there is nothing to say. */
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
