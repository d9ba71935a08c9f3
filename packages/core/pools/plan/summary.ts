import type { Context } from "../../context.ts";
import { instanceTypeOfPool, unitsPerNode } from "../../fleet.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { keyText } from "../../store/keys.ts";
import { type Growth, getGrowth } from "../capacity/groups.ts";
import { unreadableUnits } from "../ledger/reconcile-ledger.ts";
import type { Grant, GroupGrowth, Ledger, NodeLedger, PoolSummary } from "../ledger/record.ts";
import { getLearnedStartupMs } from "../ledger/startup-times.ts";
import type { Lines } from "../ledger/waiting-list.ts";
import { machinesOutside, type NewMachines } from "./new-machines.ts";
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

function presentNodes({ nodes }: Pick<Ledger, "nodes">): readonly NodeLedger[] {
  return nodes.filter((node) => !node.gone);
}

export interface Makeable {
  /** Without the machines of groups that lack something now. */
  readonly nodes: number;
  readonly startupMs: number;
  /** The groups with machines to create, those with the most first. */
  readonly groups: readonly NewMachines[];
}

/**
 * Returns the machines that the groups can still create outside of the drained parts. Unreadable ledger items count as
 * existing machines, of unknown groups.
 */
export function makeable(
  ctx: Context,
  ledger: Pick<Ledger, "pool" | "nodes" | "makeable" | "unreadable">,
  drained: readonly PoolPart[] = ledger.pool.drained ?? [],
): Makeable {
  const growth = getGrowth(ctx, ledger.makeable);
  if (!growth) return { nodes: 0, startupMs: 0, groups: [] };
  const most = Math.max(0, growth.mostNodes - presentNodes(ledger).length - unreadableNodes(ledger));
  const { healthy, lacking } = listGrowing(growth, ledger, most);
  const open = (machines: NewMachines) => machinesOutside(drained, machines) ?? [];
  const made = healthy.flatMap(open);
  const groups = [...made, ...lacking.flatMap(open)].sort((a, b) => b.count - a.count);
  return { nodes: sum(made.map(({ count }) => count)), startupMs: growth.startupMs, groups };
}

interface Growing {
  readonly healthy: readonly NewMachines[];
  /** Groups in zones that no healthy group reaches. They are tried again after the shortage of the zone. */
  readonly lacking: readonly NewMachines[];
}

function listGrowing(growth: Growth, ledger: Pick<Ledger, "nodes" | "makeable">, most: number): Growing {
  const { members, zones, zoneLacks = {} } = growth;
  // Items of earlier versions lack the members.
  if (!members) return { healthy: withMachines([{ count: most, zones }]), lacking: [] };
  const present = Map.groupBy(presentNodes(ledger), ({ group }) => group);
  const left = ({ name, nodes, mostNodes }: GroupGrowth) =>
    mostNodes === undefined ? nodes : Math.max(0, mostNodes - (present.get(name)?.length ?? 0));
  let rest = most;
  const healthy = members
    .filter(({ nodes }) => nodes > 0)
    .map((member): NewMachines => {
      const count = Math.min(rest, left(member));
      rest -= count;
      return { group: member.name, count, zones: member.zones, ...getTraits(ledger, member) };
    });
  const lacking = members
    .filter(({ nodes }) => nodes === 0)
    .flatMap((member): NewMachines[] => {
      const zones = member.zones.filter((zone) => Object.hasOwn(zoneLacks, zone));
      return zones.length > 0 ? [{ group: member.name, count: left(member), zones, ...getTraits(ledger, member) }] : [];
    });
  return { healthy: withMachines(healthy), lacking: withMachines(lacking) };
}

/**
 * Returns the group's learned start-up time, and whether runs may name it. They may not while a machine that should have
 * come in one of its zones has not: then any group may create it, also if the autoscaler does not know the group's label.
 */
function getTraits(
  { makeable }: Pick<Ledger, "makeable">,
  { name, zones, isSelectable }: GroupGrowth,
): Pick<NewMachines, "startupMs" | "isSelectable"> {
  const { groupStartupSeconds, shortage, zoneShortages = {} } = makeable;
  const startupMs = getLearnedStartupMs(groupStartupSeconds?.[name]);
  const isShort = shortage !== undefined || zones.some((zone) => Object.hasOwn(zoneShortages, zone));
  return { ...(startupMs !== undefined && { startupMs }), ...(isSelectable && !isShort && { isSelectable }) };
}

function withMachines(groups: readonly NewMachines[]): readonly NewMachines[] {
  return groups.filter(({ count }) => count > 0);
}

function getUnits(size: Pick<Grant["size"], "machines" | "units"> = { machines: 0, units: 0 }): number {
  return size.machines * size.units;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
