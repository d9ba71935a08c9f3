import type { Context } from "../../context.ts";
import { instanceTypeOfPool, unitsPerNode } from "../../fleet.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { keyText } from "../../store/keys.ts";
import { getGrowth } from "../capacity/groups.ts";
import { growthOutside } from "../capacity/pool-parts.ts";
import { unreadableUnits } from "../ledger/reconcile-ledger.ts";
import type { Grant, Ledger, PoolNode, PoolSummary } from "../ledger/record.ts";
import type { Lines } from "../ledger/waiting-list.ts";
import type { Plan } from "./plan.ts";

/** Returns the counts of a pool after a plan. Waiting jobs are counted as far as the plan read their lines. */
export function summarize(ctx: Context, ledger: Ledger, list: Lines, planned: Plan, now: number): PoolSummary {
  const { granted, held } = ledger;
  const units = unitsPerNode(instanceTypeOfPool(ledger.type));
  const counts = { preparing: 0, active: 0, stopping: 0 };
  let inUse = 0;
  for (const { phase, size } of held) {
    counts[phase] += 1;
    if (phase !== "stopping") inUse += size.machines * size.units;
  }
  const notYet = [...planned.places.map((place) => place.uid), ...granted.map((grant) => grant.uid)];
  const { nodes: makeableNodes } = makeable(ctx, ledger);
  const sizes = new Map([...list.candidates, ...granted].map((entry) => [entry.uid, entry.size]));
  return {
    total: sum(presentNodes(ledger).map((node) => node.units)) + (unreadableNodes(ledger) + makeableNodes) * units,
    free: isBlind(ledger) ? 0 : planned.freeUnits,
    mostFree: isBlind(ledger) ? [] : planned.mostFree,
    makeable: makeableNodes,
    ...(ledger.makeable.group && { grows: true as const }),
    inUse,
    waiting: notYet.length + list.behind.count,
    waitingUnits: sum(notYet.map((uid) => getUnits(sizes.get(uid)))) + list.behind.units,
    granted: granted.length,
    ...counts,
    unreadable: unreadableUnits({ granted, held }),
    unreadableItems: ledger.unreadable.size,
    plannedAt: now,
  };
}

/** Reports whether `makeable` is unreadable. Its jobs may be on any machine, so free units are unknown. */
export function isBlind({ unreadable, makeable: { pk, sk } }: Pick<Ledger, "unreadable" | "makeable">): boolean {
  return unreadable.has(keyText({ pk, sk }));
}

export function unreadableNodes(ledger: Pick<Ledger, "unreadable" | "makeable">): number {
  return ledger.unreadable.size - (isBlind(ledger) ? 1 : 0);
}

function presentNodes({ nodes }: Pick<Ledger, "nodes">): readonly PoolNode[] {
  return nodes.filter((node) => !node.gone);
}

export interface Makeable {
  readonly nodes: number;
  readonly startupMs: number;
  /** Empty for any zone. A group with several zones chooses one itself. */
  readonly zones: readonly string[];
}

/**
 * Returns the machines that the group can still create outside of the drained parts. Unreadable ledger items count as
 * existing machines.
 */
export function makeable(
  ctx: Context,
  ledger: Pick<Ledger, "pool" | "nodes" | "makeable" | "unreadable">,
  drained: readonly PoolPart[] = ledger.pool.drained ?? [],
): Makeable {
  const group = getGrowth(ctx, ledger.makeable);
  const growth = group && growthOutside(drained, group);
  if (!growth) return { nodes: 0, startupMs: 0, zones: [] };
  const { mostNodes, startupMs, zones } = growth;
  const there = presentNodes(ledger).length + unreadableNodes(ledger);
  return { nodes: Math.max(0, mostNodes - there), startupMs, zones };
}

function getUnits(size: Pick<Grant["size"], "machines" | "units"> = { machines: 0, units: 0 }): number {
  return size.machines * size.units;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
