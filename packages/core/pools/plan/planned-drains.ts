import type { Context } from "../../context.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { isInParts, partsClosedTo, zonesIn } from "../capacity/pool-parts.ts";
import type { Ledger, NodeLedger, Pool } from "../ledger/record.ts";
import { machinesOutside, type NewMachines } from "./new-machines.ts";
import type { PlanInput, PlanNode } from "./plan.ts";
import { closingText } from "./reasons.ts";
import { lackRank, type Makeable } from "./summary.ts";

/** Returns when a machine closes by a planned drain. */
export function closeAt({ plannedDrains = [] }: Pool, node: NodeLedger): Pick<PlanNode, "closesAt"> {
  const times = plannedDrains.filter((plan) => isInParts([plan], node)).map(({ from }) => from);
  return times.length > 0 ? { closesAt: Math.min(...times) } : {};
}

/**
 * Returns when machines close by planned drains. For machines still to be created, that is earlier by their start-up
 * time: their jobs end that much later. Sorts the groups by this time, so that the planner fills the earliest first, but those
 * that lack machines last.
 */
export function findClosings(
  ctx: Pick<Context, "clock">,
  { pool }: Pick<Ledger, "pool">,
  { startupMs, groups }: Makeable,
): Pick<PlanInput, "makeable" | "closings" | "zonesCloseAt"> {
  // One whose time has come is among the drained parts.
  const plannedDrains = pool.plannedDrains?.filter(({ from }) => from > ctx.clock.now()) ?? [];
  if (plannedDrains.length === 0) return { makeable: groups };
  const byTime = Map.groupBy(plannedDrains, ({ from }) => from);
  const times = [...byTime.keys()].sort((a, b) => a - b);
  const closings = [...byTime].flatMap(([from, parts]): [number, string][] => {
    const text = closingText(
      parts.map((part) => describePart(part, pool.type)),
      from,
      parts.every(({ byProvider }) => byProvider),
    );
    return [[from, text], ...(groups.length > 0 ? [[from - startupMs, text] as [number, string]] : [])];
  });
  const closing = groups.map((group): NewMachines => {
    const from = times.find((time) => !machinesOutside(partsClosedTo(pool, time + 1), group));
    return from === undefined ? group : { ...group, closesAt: from - startupMs };
  });
  const closeTime = ({ closesAt = Number.MAX_VALUE }: NewMachines) => closesAt;
  const makeable = closing.toSorted((a, b) => lackRank(a) - lackRank(b) || closeTime(a) - closeTime(b));
  const zonesCloseAt = zonesIn(plannedDrains).map((zone): [string, number] => {
    const from = times.find((time) => zonesIn(partsClosedTo(pool, time + 1)).includes(zone));
    return [zone, (from ?? 0) - startupMs];
  });
  return { makeable, closings: new Map(closings), zonesCloseAt: new Map(zonesCloseAt) };
}

function describePart({ zone, nodeGroup, node }: PoolPart, type: string): string {
  if (node !== undefined) return node;
  if (zone !== undefined) return `zone ${zone}`;
  return nodeGroup === undefined ? type.toUpperCase() : `node group ${nodeGroup}`;
}
