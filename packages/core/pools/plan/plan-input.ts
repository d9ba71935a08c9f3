import { instanceTypeOfPool, MOST_MACHINES, unitsPerNode } from "../../fleet.ts";
import type { Share } from "../../ports/compute.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { currentInterruption } from "../capacity/interruption.ts";
import { isInParts, zonesIn } from "../capacity/pool-parts.ts";
import type { Ledger, MakeableLedger, NodeLedger } from "../ledger/record.ts";
import { getLackingZones, getScarceZones } from "../ledger/shortage.ts";
import type { Candidate } from "../ledger/waiting-list.ts";
import { allNodes, hasStarted } from "./new-machines.ts";
import type { Occupied, PlanInput, PlanNode } from "./plan.ts";
import { closeAt, findClosings } from "./planned-drains.ts";
import { isBlind, type Makeable, makeable, unreadableNodes } from "./summary.ts";
import type { WaitingList } from "./waiting.ts";
import { isInZone } from "./zones.ts";

export interface PlanSources {
  readonly ledger: Ledger;
  readonly waiting: WaitingList;
  readonly used: ReadonlyMap<string, number>;
}

export function buildPlanInput(
  ctx: PlannerContext,
  { ledger, used }: PlanSources,
  waiting: readonly Candidate[],
  now: number,
): PlanInput {
  const { pool } = ledger;
  const usable = usableNodes(ledger, now);
  const toMake = makeable(ctx, ledger);
  const { shortage } = ledger.makeable;
  const lacking = getLackingZones(ledger.makeable, now);
  const scarceZones = getScarceZones(ledger.makeable, now);
  // A try after a shortage waits for the machines of the largest job.
  const mostUnpinned = (shortage ? MOST_MACHINES : MOST_UNPINNED) - machinesIn(ledger.makeable);
  const input: PlanInput = {
    nodes: usable.map((node) => ({ ...toPlanNode(node), ...closeAt(ledger.pool, node) })),
    occupied: occupiedOn(ledger, usable),
    waiting,
    ...findUndrained(ctx, ledger, now),
    ...findClosings(ctx, ledger, toMake),
    ...(lacking.size > 0 && toMake.groups.length > 0 && { lackingZones: lacking }),
    ...(scarceZones.size > 0 && { scarceZones }),
    unreadable: unreadableNodes(ledger),
    unitsPerNode: unitsPerNode(instanceTypeOfPool(ledger.type)),
    startupMs: toMake.startupMs,
    mostUnpinned: Math.max(0, mostUnpinned),
    head: pool.head?.uid ?? null,
    used,
    closed: pool.closed ?? (isBlind(ledger) ? "unreadable" : null),
    now,
  };
  const retryAt = findRetryAt(ledger.makeable, toMake, now);
  const starting = withoutUnstarted(input);
  return retryAt > now && toMake.groups.some(hasStarted) ? withoutNewMachines(starting, retryAt) : starting;
}

function toPlanNode({ name, zone, group, units, foreignUnits, leftoverUnits, images }: NodeLedger): PlanNode {
  const left = Math.max(0, units - foreignUnits - leftoverUnits);
  const known = { ...(group !== undefined && { group }), ...(images && { images }) };
  return { name, zone, units: left, ...(foreignUnits > 0 && { foreign: foreignUnits }), ...known };
}

/**
 * Returns the drained zones, and the machines as they would be without any drain. New machines count only if one may
 * come now.
 */
function findUndrained(
  ctx: PlannerContext,
  ledger: Ledger,
  now: number,
): Pick<PlanInput, "drainedZones" | "undrained"> {
  const { drained = [] } = ledger.pool;
  if (drained.length === 0) return {};
  const toMake = makeable(ctx, ledger, []);
  const isRetried = findRetryAt(ledger.makeable, toMake, now) > now;
  const nodes = readyNodes(ledger, now).map(toPlanNode);
  return {
    drainedZones: zonesIn(drained),
    undrained: { nodes, makeable: isRetried ? [] : toMake.groups },
  };
}

/** Returns when new machines may come again in the first of the zones, ms: not after now if some may come now. */
function findRetryAt(makeable: MakeableLedger, { groups }: Makeable, now: number): number {
  const lacking = getLackingZones(makeable, now);
  const triedAt = groups
    .filter(hasStarted)
    .flatMap(({ zones }) => (zones.length === 0 ? [0] : zones.map((zone) => lacking.get(zone) ?? 0)));
  return Math.max(makeable.shortage?.until ?? 0, triedAt.length === 0 ? 0 : Math.min(...triedAt));
}

/** All grants on machines still to be created are in one item. DynamoDB limits items to 400 KB. */
const MOST_UNPINNED = 500;

/** Occupies the rest of the machines still to be created until one may be ready, for the plan and the forecast. */
export function withoutNewMachines(input: PlanInput, retryAt: number): PlanInput {
  const made = allNodes({ ...input, retryAt }).nodes.slice(input.nodes.length);
  const endsAt = retryAt + input.startupMs;
  const occupied = made
    .filter(({ free }) => free > 0)
    .map(({ free: units }) => toPlaceholder(input, { node: null, units }, endsAt));
  return { ...input, occupied: [...input.occupied, ...occupied], retryAt };
}

/** Occupies the machines of groups that have not started until one may be ready, for the plan and the forecast. */
function withoutUnstarted(input: PlanInput): PlanInput {
  const occupied = input.makeable.flatMap(({ count, group, startsAt, startupMs = input.startupMs }) => {
    const share = { node: null, units: input.unitsPerNode, ...(group !== undefined && { group }) };
    const make = () => toPlaceholder(input, { ...share }, (startsAt ?? 0) + startupMs);
    return startsAt === undefined ? [] : Array.from({ length: count }, make);
  });
  return occupied.length === 0 ? input : { ...input, occupied: [...input.occupied, ...occupied] };
}

function toPlaceholder({ now }: PlanInput, share: Share, endsAt: number): Occupied {
  return { owner: "", shares: [share], endsAt, at: now, size: { wantedMs: 0 }, isPlaceholder: true };
}

function machinesIn({ granted, held }: MakeableLedger): number {
  return [...granted, ...held].reduce((sum, { machines }) => sum + machines, 0);
}

/**
 * Returns the occupants for the plan; the ledger keeps its shares. A share on a machine still to be created counts on
 * the newest machine with room, because the cluster may place it there. If no machine has room, it counts on one still
 * to be created.
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
  const newest = usable.toSorted((a, b) => b.since - a.since);
  return all.map((occupied) => {
    const ownNodes = new Set(occupied.shares.map(({ node }) => node));
    const shares = occupied.shares.map((share) => {
      const { node, units } = share;
      const isPossible = ({ name, zone, group }: NodeLedger) =>
        !ownNodes.has(name) &&
        (free.get(name) ?? 0) >= units &&
        isInZone({ zone }, share.zone ?? null) &&
        (share.group === undefined || group === share.group);
      const there = node === null ? newest.find(isPossible)?.name : undefined;
      if (!there) return share;
      ownNodes.add(there);
      take(there, units);
      return { node: there, units };
    });
    return { ...occupied, shares };
  });
}

/** Returns the machines that can be granted: ready ones outside of the drained parts. */
export function usableNodes(ledger: Ledger, now: number): NodeLedger[] {
  const { drained = [] } = ledger.pool;
  const ready = readyNodes(ledger, now);
  return drained.length === 0 ? ready : ready.filter((node) => !isInParts(drained, node));
}

/**
 * Returns the machines that are ready and not interrupted. While a machine is replaced, a ledger may have two items of
 * one name. Both are left out, because a plan identifies machines by name.
 */
function readyNodes({ nodes }: Ledger, now: number): NodeLedger[] {
  const usable = nodes.filter((node) => {
    const { ready, gone, asideUntil = 0 } = node;
    return ready && !gone && asideUntil <= now && !currentInterruption(node, now);
  });
  const names = new Set<string>();
  const twice = new Set(usable.map(({ name }) => name).filter((name) => names.size === names.add(name).size));
  return twice.size === 0 ? usable : usable.filter(({ name }) => !twice.has(name));
}
