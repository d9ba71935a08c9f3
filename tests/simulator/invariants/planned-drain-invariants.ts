import { isGroupIn, isInParts, isWholeType, type PlannedPart } from "#core/pools/capacity/pool-parts.ts";
import type { Grant, GroupGrowth } from "#core/pools/ledger/record.ts";
import type { PoolView } from "../../worlds/pool-view.ts";

/** Checks that no environment takes capacity on a part that is drained, or will be before its time is over. */
export interface PlannedDrainWatch {
  /** Notes that a drain was planned or dropped, by an operator's request or by the listing of a block's end. */
  set(plan: PlannedPart | undefined): void;
  /** `members`: the provider's groups that may create machines of the pool. */
  granted(grants: readonly Grant[], pool: Pick<PoolView, "nodes">, members: readonly GroupGrowth[]): void;
  /** Reports whether the grant was written after the answer, and outlives the drain. */
  isLate(grant: string | undefined): boolean;
}

export function plannedDrainWatch({
  now,
  clocksMs,
}: {
  readonly now: () => number;
  readonly clocksMs: () => number;
}): PlannedDrainWatch {
  let plan: PlannedPart | undefined;
  const late = new Set<string>();
  return {
    set(next) {
      plan = next;
      if (!next) late.clear();
    },
    granted(grants, { nodes }, members) {
      if (!plan) return;
      const drained = [plan];
      const comesThere = members.length > 0 && members.every((member) => isGroupIn(drained, member));
      for (const { id, shares, size } of grants) {
        if (now() + size.wantedMs <= plan.from + clocksMs()) continue;
        const isThere = shares.some(({ node }) =>
          node === null ? comesThere : nodes.some((each) => each.name === node && isInParts(drained, each)),
        );
        if (isThere || isWholeType(plan)) late.add(id);
      }
    },
    isLate: (grant) => plan !== undefined && grant !== undefined && late.has(grant),
  };
}
