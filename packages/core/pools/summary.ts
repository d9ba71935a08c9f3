import { instanceTypeOfPool, unitsPerNode } from "../fleet.ts";
import type { Lines } from "./lines.ts";
import type { Plan } from "./plan.ts";
import type { Grant, Pool, PoolNode, PoolSummary } from "./record.ts";
import { unreadableUnits } from "./settle.ts";

/** The counts of a pool after a plan: those who wait as far as it read their lines, whether it considered them or not. */
export function summarize(pool: Pool, granted: readonly Grant[], list: Lines, planned: Plan, now: number): PoolSummary {
  const units = unitsPerNode(instanceTypeOfPool(pool.type));
  const running = pool.held.filter((holding) => holding.phase !== "stopping");
  const notYet = [...planned.places.map((place) => place.uid), ...granted.map((grant) => grant.uid)];
  const sizes = new Map([...list.candidates, ...granted].map((one) => [one.uid, one.size]));
  return {
    total: sum(presentNodes(pool).map((node) => node.units)) + makeable(pool) * units,
    free: planned.freeUnits,
    inUse: sum(running.map(({ size }) => size.machines * size.units)),
    waiting: notYet.length + list.behind.count,
    waitingUnits: sum(notYet.map((uid) => unitsOf(sizes.get(uid)))) + list.behind.units,
    preparing: running.filter((holding) => holding.phase === "preparing").length,
    active: running.filter((holding) => holding.phase === "active").length,
    unreadable: unreadableUnits({ granted, held: pool.held }),
    plannedAt: now,
  };
}

function presentNodes(pool: Pool): readonly PoolNode[] {
  return pool.nodes.filter((node) => !node.gone);
}

/** Machines that its group may still make. */
export function makeable(pool: Pool): number {
  return Math.max(0, pool.maxNodes - presentNodes(pool).length);
}

function unitsOf(size: Pick<Grant["size"], "machines" | "units"> = { machines: 0, units: 0 }): number {
  return size.machines * size.units;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
