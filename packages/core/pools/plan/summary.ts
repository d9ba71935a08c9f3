import type { Context } from "../../context.ts";
import { instanceTypeOfPool, unitsPerNode } from "../../fleet.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { keyText } from "../../store/keys.ts";
import { type Growth, getGrowth } from "../capacity/groups.ts";
import { unreadableUnits } from "../ledger/reconcile-ledger.ts";
import type { Grant, GroupGrowth, Ledger, NodeLedger, PoolSummary } from "../ledger/record.ts";
import { isRecent } from "../ledger/shortage.ts";
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
  /** Leaves out machines of node groups that lack something now. */
  readonly nodes: number;
  readonly startupMs: number;
  /** The groups with machines to create: those with the most first, those that lack some or have not started last. */
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
  const { healthy, lacking, starting } = listGrowing(growth, ledger, most, ctx.clock.now());
  const open = (machines: NewMachines) => machinesOutside(drained, machines) ?? [];
  const made = healthy.flatMap(open);
  const groups = [...made, ...[...lacking, ...starting].flatMap(open)];
  groups.sort((a, b) => lackRank(a) - lackRank(b) || b.count - a.count);
  return { nodes: sum(made.map(({ count }) => count)), startupMs: growth.startupMs, groups };
}

/** Orders groups so that machines which may not come are used last. */
export function lackRank({ isLacking, startsAt }: NewMachines): number {
  if (startsAt !== undefined) return 2;
  return isLacking ? 1 : 0;
}

interface Growing {
  readonly healthy: readonly NewMachines[];
  /** Groups in zones that no healthy group reaches. They are tried again after the shortage of the zone. */
  readonly lacking: readonly NewMachines[];
  /** Groups that have not started, as Capacity Blocks. */
  readonly starting: readonly NewMachines[];
}

function listGrowing(growth: Growth, ledger: Pick<Ledger, "nodes" | "makeable">, most: number, now: number): Growing {
  const { members, zones, zoneLacks = {} } = growth;
  const lacksNow = (among: readonly string[]) => lacksMachines(growth, ledger.makeable, among, now);
  // Items of earlier versions lack the members.
  if (!members)
    return { healthy: withMachines([{ count: most, zones, ...lacksNow(zones) }]), lacking: [], starting: [] };
  const present = Map.groupBy(presentNodes(ledger), ({ group }) => group);
  const left = ({ name, nodes, mostNodes }: GroupGrowth) =>
    mostNodes === undefined ? nodes : Math.max(0, mostNodes - (present.get(name)?.length ?? 0));
  const describe = (member: GroupGrowth, zones = member.zones) => {
    return { group: member.name, count: left(member), zones, ...getTraits(ledger, member, now) };
  };
  let rest = most;
  const healthy = members
    .filter(({ nodes }) => nodes > 0)
    .map((member): NewMachines => {
      const machines = describe(member);
      const count = Math.min(rest, machines.count);
      rest -= count;
      return { ...machines, count, ...lacksNow(member.zones) };
    });
  const lacking = members
    .filter(({ nodes, startsAt }) => nodes === 0 && startsAt === undefined)
    .flatMap((member): NewMachines[] => {
      const zones = member.zones.filter((zone) => Object.hasOwn(zoneLacks, zone));
      return zones.length === 0 ? [] : [{ ...describe(member, zones), isLacking: true }];
    });
  const unstarted = members.filter(({ startsAt }) => startsAt !== undefined);
  // Until the next listing, `most` lacks the machines of a group that started after the last one.
  const started = unstarted.filter(({ startsAt = 0 }) => startsAt <= now).map((member) => describe(member));
  const starting = unstarted.map((member) => ({ ...describe(member), startsAt: member.startsAt }));
  return {
    healthy: withMachines([...healthy, ...started]),
    lacking: withMachines(lacking),
    starting: withMachines(starting.filter(({ startsAt = 0 }) => startsAt > now)),
  };
}

/** Marks machines that lacked lately, in all of these zones. A new machine there ends the shortage. */
function lacksMachines(
  { lacks }: Growth,
  { shortage, zoneShortages = {} }: Ledger["makeable"],
  zones: readonly string[],
  now: number,
): Pick<NewMachines, "isLacking"> {
  const isShortEverywhere = zones.length > 0 && zones.every((zone) => isRecent(zoneShortages[zone], now));
  return lacks !== undefined || isRecent(shortage, now) || isShortEverywhere ? { isLacking: true } : {};
}

/**
 * Returns the group's learned start-up time, and whether runs may name it. They may not while a machine that should have
 * come in one of its zones has not: then any group may create it, also if the autoscaler does not know the group's label.
 */
function getTraits(
  { makeable }: Pick<Ledger, "makeable">,
  { name, zones, isSelectable }: GroupGrowth,
  now: number,
): Pick<NewMachines, "startupMs" | "isSelectable"> {
  const { groupStartupSeconds, shortage, zoneShortages = {} } = makeable;
  const startupMs = getLearnedStartupMs(groupStartupSeconds?.[name]);
  const isShort = isRecent(shortage, now) || zones.some((zone) => isRecent(zoneShortages[zone], now));
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
