import { canEverFit } from "./ever-fits.ts";
import type { Allowed, FreeNode, Need } from "./free-units.ts";
import { allNodes, type NewMachines } from "./new-machines.ts";
import type { PlanInput, Waiting } from "./plan.ts";
import { isInZone } from "./zones.ts";

/*
 * Planner and forecast without shortcuts: each step visits all machines and all jobs again. Tests compare the results
 * of plan.ts and forecast.ts with these.
 */

export interface PlainNode extends FreeNode {
  free: number;
}

export interface PlainShare {
  /** Of two shares with the same end, the one with the lower number counts first. */
  readonly number: number;
  readonly node: number;
  readonly units: number;
  readonly endsAt: number;
}

export interface PlainReservation {
  readonly startsAt: number;
  readonly nodes: readonly number[];
  readonly needed: number;
  /** Units freed by then, by node. */
  readonly released: ReadonlyMap<number, number>;
}

type Ordered = Pick<Waiting, "owner"> & { readonly rank: number };

export function plainNodes(input: Parameters<typeof allNodes>[0]) {
  const { nodes, unpinned } = allNodes(input);
  return { nodes: nodes.map((node): PlainNode => ({ ...node, free: Math.max(0, node.free) })), unpinned };
}

/**
 * Finds the fullest machines that fit: existing machines first, then in their order. Several are of one zone: the best
 * by `plainRank`, then with the fewest free units on them, then the first in the order of the nodes and of the zones.
 */
export function plainFind(nodes: readonly PlainNode[], need: Need, isAllowed: Allowed = () => true) {
  const named = nodes.flatMap(({ zone, zones = [] }) => [...(zone === null ? [] : [zone]), ...zones]);
  const zones =
    need.machines === 1 || need.zone !== null || named.length === 0 ? [need.zone] : [...new Set(named)].sort();
  const found = zones.flatMap((zone) => {
    const groups = new Set(nodes.filter((node) => isInZone(node, zone)).map(({ group }) => group));
    const ofOne = need.machines === 1 ? [] : [...groups].filter((group) => group !== undefined);
    const tries = [...ofOne.map((group) => [group]), [...groups]];
    return tries.flatMap((among) => {
      const isIn = (node: number) => among.includes(nodes[node]?.group);
      const machines = findInZone(nodes, { ...need, zone }, (node) => isIn(node) && isAllowed(node, zone));
      if (!machines) return [];
      const isScarce = machines.some((node) => nodes[node]?.name === null && nodes[node]?.scarceZones?.has(zone ?? ""));
      return [
        {
          zone,
          nodes: machines,
          scarce: Number(isScarce),
          ...plainRank(machines.flatMap((node) => nodes[node] ?? [])),
        },
      ];
    });
  });
  const freeOn = (all: readonly number[]) => all.reduce((sum, node) => sum + (nodes[node]?.free ?? 0), 0);
  return found.toSorted(
    (a, b) =>
      a.scarce - b.scarce ||
      a.wait - b.wait ||
      a.made - b.made ||
      a.mixed - b.mixed ||
      freeOn(a.nodes) - freeOn(b.nodes) ||
      firstDifference(a.nodes, b.nodes),
  )[0];
}

function firstDifference(a: readonly number[], b: readonly number[]): number {
  return a.map((node, index) => node - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

/** The best machines have the lowest numbers. `group` must create the new ones. */
function plainRank(machines: readonly PlainNode[]) {
  const created = machines.filter(({ name }) => name === null);
  const groups = new Set(machines.map(({ group }) => group));
  const named =
    machines.length > 1 && groups.size === 1 && created.length > 0 && created.every(({ isSelectable }) => isSelectable);
  const group = named ? created[0]?.group : undefined;
  const wait = group === undefined ? 2 : 1;
  return { group, wait: created.length === 0 ? 0 : wait, made: created.length, mixed: groups.size > 1 ? 1 : 0 };
}

function findInZone(nodes: readonly PlainNode[], { zone, units, machines }: Need, isAllowed: Allowed) {
  const kind = ({ name }: PlainNode) => (name === null ? 1 : 0);
  const fitting = [...nodes.entries()].filter(
    ([index, node]) => node.free >= units && isInZone(node, zone) && isAllowed(index, zone),
  );
  fitting.sort(([a, node], [b, otherNode]) => kind(node) - kind(otherNode) || node.free - otherNode.free || a - b);
  return fitting.length < machines ? undefined : fitting.slice(0, machines).map(([index]) => index);
}

/** Returns the head, else the job of the owner with the fewest units, then the least use, then the oldest. */
export function plainFirst<T extends Ordered>(
  jobs: readonly T[],
  head: T | undefined,
  units: ReadonlyMap<string, number>,
  used: ReadonlyMap<string, number>,
): T | undefined {
  if (head && jobs.includes(head)) return head;
  const of = (unitsByOwner: ReadonlyMap<string, number>, { owner }: T) => unitsByOwner.get(owner) ?? 0;
  return jobs.toSorted((a, b) => of(units, a) - of(units, b) || of(used, a) - of(used, b) || a.rank - b.rank)[0];
}

/** Reports on which machines a job may start that ends at `endsAt`. */
export function plainOpen(nodes: readonly PlainNode[], endsAt: number): Allowed {
  return (index, zone) => {
    const { closesAt = Infinity, zonesCloseAt } = nodes[index] ?? {};
    return endsAt <= Math.min(closesAt, zonesCloseAt?.get(zone ?? "") ?? Infinity);
  };
}

/** Returns the input with only the machines on which a job may start that ends at `endsAt`. */
export function plainOpenInput(input: PlanInput, endsAt: number): PlanInput {
  const { zonesCloseAt, drainedZones = [] } = input;
  const isClosed = (zone: string) => (zonesCloseAt?.get(zone) ?? Infinity) < endsAt;
  const isOpen = ({ closesAt = Infinity, zones }: NewMachines) =>
    endsAt <= closesAt && (zones.length === 0 || !zones.every(isClosed));
  return {
    ...input,
    nodes: input.nodes.map((node) =>
      endsAt <= (node.closesAt ?? Infinity) ? node : { ...node, units: 0, foreign: 0 },
    ),
    makeable: input.makeable.map((group) =>
      isOpen(group) ? { ...group, zones: group.zones.filter((zone) => !isClosed(zone)) } : { ...group, count: 0 },
    ),
    drainedZones: [...drainedZones, ...[...(zonesCloseAt?.keys() ?? [])].filter(isClosed)],
  };
}

/** Reports whether a job fits on empty machines if it starts now. */
export function plainFits(
  nodes: readonly PlainNode[],
  input: PlanInput,
  { need, size }: Pick<PlainJob, "need" | "size">,
) {
  const endsAt = input.now + size.wantedMs;
  const ends = [...(input.closings?.keys() ?? [])].filter((at) => at < endsAt);
  return [...ends, endsAt].every((at) => canEverFit(nodes, plainOpenInput(input, at), need));
}

/** Reserves the earliest start. No share ends before `notBefore`. */
export function plainReserve(
  nodes: readonly PlainNode[],
  shares: readonly PlainShare[],
  { need, size }: Pick<PlainJob, "need" | "size">,
  { now, notBefore }: { readonly now: number; readonly notBefore: number },
): PlainReservation | undefined {
  const free = nodes.map((node) => ({ ...node }));
  const getTime = ({ endsAt }: PlainShare) => Math.max(endsAt, notBefore);
  let found = plainFind(free, need, plainOpen(free, now + size.wantedMs));
  let last: PlainShare | undefined;
  for (const share of shares.toSorted((a, b) => a.endsAt - b.endsAt || a.number - b.number)) {
    if (found) break;
    (free[share.node] as PlainNode).free += share.units;
    last = share;
    found = plainFind(free, need, plainOpen(free, getTime(share) + size.wantedMs));
  }
  if (!found) return undefined;
  const released = new Map<number, number>();
  for (const share of last ? shares : []) {
    const later = last && (getTime(share) - getTime(last) || share.number - last.number);
    if (later !== undefined && later <= 0) released.set(share.node, (released.get(share.node) ?? 0) + share.units);
  }
  return { startsAt: last ? getTime(last) : now, nodes: found.nodes, needed: need.units, released };
}

/**
 * Reports where a job may be backfilled: on other machines, before the reserved start, or beside the reserved units.
 */
export function plainPasses(
  reserved: PlainReservation | undefined,
  nodes: readonly PlainNode[],
  need: Need,
  endsAt: number,
): Allowed {
  return (node) => {
    if (!reserved?.nodes.includes(node) || endsAt <= reserved.startsAt) return true;
    return (nodes[node]?.free ?? 0) + (reserved.released.get(node) ?? 0) - need.units >= reserved.needed;
  };
}

export function addTo(sums: Map<string, number>, owner: string, amount: number): void {
  sums.set(owner, (sums.get(owner) ?? 0) + amount);
}

export interface PlainJob extends Pick<Waiting, "uid" | "owner" | "size"> {
  readonly rank: number;
  readonly need: Need;
  readonly comesAt: number;
}

export function plainJobs(input: PlanInput): PlainJob[] {
  const oldest = input.waiting.toSorted((a, b) => a.queuedAt - b.queuedAt || (a.uid < b.uid ? -1 : 1));
  return oldest.map((waiting, rank) => ({
    ...waiting,
    rank,
    need: { ...waiting.size, zone: waiting.zone },
    comesAt: -Infinity,
  }));
}
