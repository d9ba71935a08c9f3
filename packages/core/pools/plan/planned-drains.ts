import type { Context } from "../../context.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { getGrowth } from "../capacity/groups.ts";
import { isInParts, isMadeOutside, partsClosedTo, zonesIn } from "../capacity/pool-parts.ts";
import type { Ledger, NodeLedger, Pool } from "../ledger/record.ts";
import type { PlanInput, PlanNode } from "./plan.ts";
import { closingText } from "./reasons.ts";
import { type Makeable, makeable } from "./summary.ts";

/** Returns when a machine closes by a planned drain. */
export function closeAt({ plannedDrains = [] }: Pool, node: NodeLedger): Pick<PlanNode, "closesAt"> {
  const times = plannedDrains.filter((plan) => isInParts([plan], node)).map(({ from }) => from);
  return times.length > 0 ? { closesAt: Math.min(...times) } : {};
}

/**
 * Returns when machines close by planned drains. For machines still to be created, that is earlier by their start-up
 * time: their jobs end that much later.
 */
export function findClosings(
  ctx: Context,
  ledger: Ledger,
  { nodes, startupMs, zones }: Makeable,
): Pick<PlanInput, "closings" | "makeableCloseAt" | "zonesCloseAt"> {
  const { type } = ledger.pool;
  // One whose time has come is among the drained parts.
  const plannedDrains = ledger.pool.plannedDrains?.filter(({ from }) => from > ctx.clock.now()) ?? [];
  if (plannedDrains.length === 0) return {};
  const byTime = Map.groupBy(plannedDrains, ({ from }) => from);
  const times = [...byTime.keys()].sort((a, b) => a - b);
  const closings = [...byTime].flatMap(([from, parts]): [number, string][] => {
    const text = closingText(
      parts.map((part) => describePart(part, type)),
      from,
      parts.every(({ byProvider }) => byProvider),
    );
    return [[from, text], ...(nodes > 0 ? [[from - startupMs, text] as [number, string]] : [])];
  });
  const closedBy = (from: number) => partsClosedTo(ledger.pool, from + 1);
  const counts = times.map((from) => ({ from, left: makeable(ctx, ledger, closedBy(from)).nodes }));
  const makeableCloseAt = Array.from({ length: nodes }, (_, index) => {
    return counts.find(({ left }) => left < nodes - index)?.from;
  }).flatMap((from) => (from === undefined ? [] : [from - startupMs]));
  const growth = getGrowth(ctx, ledger.makeable);
  const zonesCloseAt = [...new Set([...zones, ...zonesIn(plannedDrains)])].flatMap((zone): [string, number][] => {
    const from = times.find((time) => !isMadeOutside(closedBy(time), growth, zone));
    return from === undefined ? [] : [[zone, from - startupMs]];
  });
  return { closings: new Map(closings), makeableCloseAt, zonesCloseAt: new Map(zonesCloseAt) };
}

function describePart({ zone, nodeGroup, node }: PoolPart, type: string): string {
  if (node !== undefined) return node;
  if (zone !== undefined) return `zone ${zone}`;
  return nodeGroup === undefined ? type.toUpperCase() : `node group ${nodeGroup}`;
}
