import { instanceTypeOfPool, unitsPerNode } from "../../fleet.ts";
import type { PlannerContext } from "../../reconciler/worker.ts";
import type { Candidate } from "../ledger/lines.ts";
import type { Ledger, MakeableLedger, NodeLedger } from "../ledger/record.ts";
import type { Occupied, PlanInput } from "./plan.ts";
import { isBlind, makeable, unreadableNodes } from "./summary.ts";
import type { WaitingList } from "./waiting.ts";

/** What a plan is made of besides who is named. */
export interface PlanSources {
  readonly ledger: Ledger;
  readonly waiting: WaitingList;
  readonly used: ReadonlyMap<string, number>;
}

/** Gives the planner its numbers: machines that can be given, who occupies them, who waits, what can still be made. */
export function inputOf(
  ctx: PlannerContext,
  { ledger, used }: PlanSources,
  waiting: readonly Candidate[],
  now: number,
): PlanInput {
  const { pool } = ledger;
  const usable = usableNodes(ledger, now);
  const toMake = makeable(ctx, ledger);
  return {
    nodes: usable.map((node) => ({
      name: node.name,
      zone: node.zone,
      units: Math.max(0, node.units - node.foreignUnits - node.leftoverUnits),
      ...(node.foreignUnits > 0 && { foreign: node.foreignUnits }),
    })),
    occupied: occupiedOn(ledger, usable),
    waiting,
    makeable: toMake.nodes,
    makeableZone: toMake.zone,
    unreadable: unreadableNodes(ledger),
    unitsPerNode: unitsPerNode(instanceTypeOfPool(ledger.type)),
    startupMs: toMake.startupMs,
    mostUnpinned: Math.max(0, MOST_UNPINNED - machinesIn(ledger.makeable)),
    head: pool.head?.uid ?? null,
    used,
    closed: pool.closed ?? (isBlind(ledger) ? "unreadable" : null),
    now,
  };
}

/** All that was granted on machines still to be made lies in one item, which no table takes above 400 KB. */
const MOST_UNPINNED = 500;

function machinesIn({ granted, held }: MakeableLedger): number {
  return [...granted, ...held].reduce((sum, { machines }) => sum + machines, 0);
}

/**
 * Who occupies what, for the plan alone: the ledger keeps its shares as they are. What was granted on machines still to
 * be made counts on the newest machine that has room for it, since the cluster may have put it there or may do so next;
 * only where none has room, on one still to be made.
 */
function occupiedOn({ held, granted }: Ledger, usable: readonly NodeLedger[]): Occupied[] {
  const all: Occupied[] = [
    ...held,
    ...granted.map(({ owner, shares, at, size }) => ({ owner, shares, at, size, endsAt: null })),
  ];
  if (all.every(({ shares }) => shares.every(({ node }) => node !== null))) return all;
  const free = new Map(usable.map((node) => [node.name, node.units - node.foreignUnits - node.leftoverUnits]));
  const take = (name: string, units: number) => free.set(name, (free.get(name) ?? 0) - units);
  for (const { node, units } of all.flatMap(({ shares }) => shares)) if (node !== null) take(node, units);
  const newest = usable.toSorted((a, b) => b.since - a.since).map(({ name }) => name);
  return all.map((one) => {
    const own = new Set(one.shares.map(({ node }) => node));
    const shares = one.shares.map((share) => {
      const { node, units } = share;
      const there = node === null && newest.find((name) => !own.has(name) && (free.get(name) ?? 0) >= units);
      if (!there) return share;
      own.add(there);
      take(there, units);
      return { node: there, units };
    });
    return { ...one, shares };
  });
}

/**
 * Machines that can be given. Of two items of one name, which a ledger that is read while a machine is replaced may
 * have, nobody knows which is there: a plan names machines by name and would take both for one.
 */
export function usableNodes({ nodes }: Ledger, now: number): NodeLedger[] {
  const usable = nodes.filter(({ ready, gone, asideUntil = 0 }) => ready && !gone && asideUntil <= now);
  const names = new Set<string>();
  const twice = new Set(usable.map(({ name }) => name).filter((name) => names.size === names.add(name).size));
  return twice.size === 0 ? usable : usable.filter(({ name }) => !twice.has(name));
}
