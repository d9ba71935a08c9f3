import { type IndexedHeap, indexedHeap } from "../../heap.ts";
import { isOpen } from "../plan/closings.ts";
import { type FreeNode, type FreeUnits, isCheaper, isScarce, type Need, rankMachines } from "../plan/free-units.ts";
import { REMOVAL_MS, type Reservation } from "../plan/reservation.ts";
import { isInZone, zonesToTry } from "../plan/zones.ts";

/** Units of one job on one node. `number` counts the starts from 0: of equal ends, the earlier start comes first. */
export interface NodeShare {
  readonly node: number;
  readonly units: number;
  readonly endsAt: number;
  readonly number: number;
}

/** Units in use and their expected ends, by node. Updated as jobs start and end, and used to reserve a start. */
export interface ExpectedEnds {
  readonly nodes: readonly FreeNode[];
  readonly free: FreeUnits;
  /** The shares of each node, the earliest end first. Copies use the same lists, so a change replaces a list. */
  readonly shares: (readonly NodeShare[])[];
  /** The nodes whose shares changed, with repetitions. Each of `times` reads on from its own position. */
  readonly changed: number[];
  readonly times: Times[];
  added: number;
}

/** When each node of a zone is expected to have this many free units, and the nodes ordered by that time. */
interface Times {
  readonly units: number;
  readonly zone: string | null;
  /** -Infinity if the units are free now, Infinity if they never will be. */
  readonly at: Float64Array;
  /** The number of the share that frees the last of the units, or -1. */
  readonly last: Int32Array;
  readonly order: IndexedHeap;
  seen: number;
}

export function expectedEnds(nodes: readonly FreeNode[], free: FreeUnits): ExpectedEnds {
  return { nodes, free, shares: nodes.map(() => []), changed: [], times: [], added: 0 };
}

export function copyEnds({ nodes, shares, added }: ExpectedEnds, free: FreeUnits): ExpectedEnds {
  return { nodes, free, shares: shares.slice(), changed: [], times: [], added };
}

export function addShare(ends: ExpectedEnds, node: number, units: number, endsAt: number): NodeShare {
  const share = { node, units, endsAt, number: ends.added++ };
  const shares = ends.shares[node] ?? [];
  const later = shares.findIndex((known) => known.endsAt > endsAt);
  ends.shares[node] = later < 0 ? [...shares, share] : shares.toSpliced(later, 0, share);
  ends.changed.push(node);
  return share;
}

/** Ends a share and gives its units back to `free`. */
export function endShare({ shares, changed, free }: ExpectedEnds, share: NodeShare): void {
  const before = shares[share.node] ?? [];
  // Most jobs end in the expected order.
  shares[share.node] = before[0] === share ? before.slice(1) : before.filter((known) => known !== share);
  changed.push(share.node);
  free.give(share.node, share.units);
}

/** A job for which to reserve a start. Times are ms. */
interface Reserving {
  readonly now: number;
  readonly wantedMs: number;
  /** The latest end of such a job on empty nodes. Undefined if no node closes by a planned drain. */
  readonly latestEnd: number | undefined;
}

/** Does the same as `reserve` in plan/reservation.ts, for a need that does not fit now. */
export function reserveStart(ends: ExpectedEnds, need: Need, job: Reserving): Reservation | undefined {
  const { now } = job;
  let first: Start | undefined;
  for (const zone of zonesToTry(need, ends.nodes)) {
    const start = findStart(ends, { ...need, zone }, job);
    if (start && (!first || isBefore(ends, start, first))) first = start;
  }
  if (!first) return undefined;
  const { nodes, at, last } = first;
  const startsAt = Math.max(at, now + REMOVAL_MS);
  const released = new Map<number, number>();
  for (const node of nodes) {
    let units = 0;
    for (const share of ends.shares[node] ?? []) {
      const goneAt = Math.max(share.endsAt, now + REMOVAL_MS);
      if (goneAt < startsAt || (goneAt === startsAt && share.number <= last)) units += share.units;
    }
    released.set(node, units);
  }
  return { startsAt, needs: new Map(nodes.map((node) => [node, need.units])), released };
}

/** The nodes that are the first to have the units of a need. Share number `last` frees the last of them, at `at`. */
interface Start {
  readonly zone: string | null;
  readonly nodes: readonly number[];
  readonly at: number;
  readonly last: number;
}

function findStart(ends: ExpectedEnds, need: Need, job: Reserving): Start | undefined {
  const times = getTimes(ends, need);
  const { at, last, order } = times;
  const nodes = job.latestEnd !== undefined ? firstOpen(ends, need, times, job) : order.first(need.machines);
  const latest = nodes.at(-1);
  if (nodes.length < need.machines || latest === undefined || at[latest] === Infinity) return undefined;
  return { zone: need.zone, nodes, at: at[latest] ?? 0, last: last[latest] ?? 0 };
}

/** Returns the first nodes with the units of a need that stay open until the job ends, or fewer if there are none. */
function firstOpen(
  { nodes }: ExpectedEnds,
  { machines, zone }: Need,
  { at, order }: Times,
  { now, wantedMs, latestEnd = Infinity }: Reserving,
): readonly number[] {
  for (let count = machines; ; count *= 2) {
    const sorted = order.first(count);
    let open: number[] = [];
    for (const node of sorted) {
      const endsAt = Math.max(at[node] ?? Infinity, now + REMOVAL_MS) + wantedMs;
      if (endsAt > latestEnd) return [];
      open = [...open, node].filter((candidate) => isOpen(nodes[candidate], zone, endsAt));
      if (open.length === machines) return open;
    }
    if (sorted.length < count) return [];
  }
}

/** Reports which zone comes first. One share frees several if its node can be created in several: then as `take`. */
function isBefore(ends: ExpectedEnds, a: Start, b: Start): boolean {
  const rank = (start: Start) => {
    const machines = start.nodes.flatMap((node) => ends.nodes[node] ?? []);
    return [isScarce(machines, start) ? 1 : 0, ...rankMachines(machines)];
  };
  const cost = (start: Start) => [start.at, start.last, ...rank(start), freeAt(ends, start)];
  return isCheaper(cost(a), cost(b));
}

/** Returns the free units of the nodes at this start. */
function freeAt({ free, shares }: ExpectedEnds, { nodes, at, last }: Start): number {
  return nodes.reduce((sum, node) => {
    const ended = (shares[node] ?? []).filter(({ endsAt, number }) => (endsAt - at || number - last) <= 0);
    return ended.reduce((units, share) => units + share.units, sum + free.freeOn(node));
  }, 0);
}

function getTimes(ends: ExpectedEnds, { units, zone }: Need): Times {
  const times = ends.times.find((known) => known.units === units && known.zone === zone);
  if (!times) return newTimes(ends, units, zone);
  for (; times.seen < ends.changed.length; times.seen++) {
    const node = ends.changed[times.seen] ?? 0;
    setTime(times, ends, node);
    times.order.update(node);
  }
  return times;
}

function newTimes(ends: ExpectedEnds, units: number, zone: string | null): Times {
  const { changed } = ends;
  const [at, last] = [new Float64Array(ends.nodes.length), new Int32Array(ends.nodes.length)];
  const nodes: number[] = [];
  for (const [index, node] of ends.nodes.entries()) {
    setTime({ units, at, last }, ends, index);
    if (isInZone(node, zone)) nodes.push(index);
  }
  const isSooner = (a: number, b: number) =>
    ((at[a] ?? 0) - (at[b] ?? 0) || (last[a] ?? 0) - (last[b] ?? 0) || a - b) < 0;
  const times = { units, zone, at, last, order: indexedHeap(nodes, isSooner), seen: changed.length };
  ends.times.push(times);
  return times;
}

/** Sets when this node has enough free units. */
function setTime({ units, at, last }: Pick<Times, "units" | "at" | "last">, ends: ExpectedEnds, node: number): void {
  let sum = ends.free.freeOn(node);
  let latest: NodeShare | undefined;
  for (const share of ends.shares[node] ?? []) {
    if (sum >= units) break;
    sum += share.units;
    latest = share;
  }
  last[node] = latest?.number ?? -1;
  at[node] = sum < units ? Infinity : (latest?.endsAt ?? -Infinity);
}
