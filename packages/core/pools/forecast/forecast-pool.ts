import type { Share } from "../../ports/compute.ts";
import { countUnitsByOwner } from "../ledger/units-by-owner.ts";
import { latestEndFor } from "../plan/closings.ts";
import { byAge } from "../plan/fair-order.ts";
import { type FreeNode, type FreeUnits, formatNeed, freeUnits, type Need } from "../plan/free-units.ts";
import { type AllNodes, allNodes } from "../plan/new-machines.ts";
import type { PlanInput, Waiting } from "../plan/plan.ts";
import { endTime, goneAt } from "../plan/reservation.ts";
import { addShare, type ExpectedEnds, expectedEnds, type NodeShare } from "./expected-ends.ts";
import type { Arrivals } from "./workload.ts";

/** Capacity in use at the start of a run, as arrays indexed by occupant. Each run visits up to 100,000 of them. */
export interface Occupants {
  readonly owners: Int32Array;
  /** Since when it holds its capacity, ms. */
  readonly at: Float64Array;
  readonly wantedMs: Float64Array;
  /** The end that the planner assumes. Infinity if it has no machine of this pool. */
  readonly endsAt: Float64Array;
  readonly shares: readonly (readonly NodeShare[])[];
}

export interface Waiter {
  readonly uid: string;
  readonly owner: number;
  readonly need: number;
  readonly wantedMs: number;
  /** Expected arrival, ms. Only for jobs that are not submitted yet. */
  readonly comesAt?: number | undefined;
}

/** The pool at the start of every run. Owners, needs, nodes and waiting jobs are indexes. */
export interface ForecastPool {
  readonly owners: readonly string[];
  readonly needs: readonly Need[];
  /** Returns the latest end with which a need fits on empty machines (plan/closings.ts), ms. */
  latestEnd(need: Need): number;
  readonly closings: PlanInput["closings"];
  /** The shortest wanted time of a need. */
  readonly leastMs: readonly number[];
  /** Oldest first, then expected arrivals. */
  readonly waiters: readonly Waiter[];
  /** Waiting jobs by owner and need, oldest first. */
  readonly lines: readonly (readonly Line[])[];
  readonly free: FreeUnits;
  /** Existing nodes, then nodes that can still be created. */
  readonly nodes: readonly FreeNode[];
  /** When each node is ready. NaN until its creation is requested. */
  readonly readyAt: readonly number[];
  readonly occupants: Occupants;
  readonly ends: ExpectedEnds;
  readonly units: readonly number[];
  readonly used: readonly number[];
  readonly head: number;
}

export interface Line {
  readonly need: number;
  readonly waiters: readonly number[];
  readonly index: number;
}

export function buildForecastPool(input: PlanInput, { nodes, unpinned }: AllNodes = allNodes(input)): ForecastPool {
  const holders = countUnitsByOwner(input.occupied);
  const free = freeUnits(nodes);
  const ends = expectedEnds(nodes, free);
  const occupants = getOccupants(input, { nodes, unpinned, ends, owners: holders.numbers });
  const { now, closings } = input;
  const latestEnd = latestEndFor(nodes, input);
  const line = listLines(
    { owners: holders.names, needs: [], waiters: [], latestEnd },
    now,
    input.waiting.toSorted(byAge),
  );
  return {
    ...line,
    latestEnd,
    closings,
    free,
    nodes,
    readyAt: getReadyAt(input, nodes, unpinned),
    occupants,
    ends,
    units: line.owners.map((owner) => holders.units.get(owner) ?? 0),
    used: line.owners.map((owner) => input.used?.get(owner) ?? 0),
    head: line.waiters.findIndex(({ uid }) => uid === input.head),
  };
}

/** Returns the pool with expected arrivals added, as far as they can fit. */
export function withArrivals(pool: ForecastPool, arrivals: Arrivals, plan: PlanInput): ForecastPool {
  if (arrivals.length === 0) return pool;
  const coming = arrivals.map(({ at, ...arrival }) => ({ ...arrival, uid: "", comesAt: at }));
  const line = listLines(pool, plan.now, coming);
  return {
    ...pool,
    ...line,
    units: line.owners.map((_, owner) => pool.units[owner] ?? 0),
    used: line.owners.map((owner) => plan.used?.get(owner) ?? 0),
  };
}

type Queue = Pick<ForecastPool, "owners" | "needs" | "waiters" | "leastMs" | "lines">;

/** Returns the queue with more jobs behind its own, without those that can never fit in time. */
function listLines(
  before: Omit<Queue, "leastMs" | "lines"> & Pick<ForecastPool, "latestEnd">,
  now: number,
  entries: readonly (Omit<Waiting, "queuedAt"> & Pick<Waiter, "comesAt">)[],
): Queue {
  const owners = numbering(before.owners, (owner) => owner);
  const needs = numbering(before.needs, formatNeed);
  const coming = entries.flatMap(({ uid, owner, size, zone, comesAt }): Waiter[] => {
    const need = { machines: size.machines, units: size.units, zone };
    if ((comesAt ?? now) + size.wantedMs > before.latestEnd(need)) return [];
    const number = needs.getNumber(need);
    return [{ uid, owner: owners.getNumber(owner), need: number, wantedMs: size.wantedMs, comesAt }];
  });
  const waiters = [...before.waiters, ...coming];
  const least = needs.all.map(() => Infinity);
  for (const { need, wantedMs } of waiters) least[need] = Math.min(least[need] ?? Infinity, wantedMs);
  return {
    owners: owners.all,
    needs: needs.all,
    waiters,
    leastMs: least,
    lines: byOwnerAndNeed(waiters, owners.all.length),
  };
}

/** Lists the occupants and adds their shares to `ends`. */
function getOccupants(
  input: PlanInput,
  inputs: {
    readonly nodes: readonly FreeNode[];
    readonly unpinned: ReadonlyMap<Share, number>;
    readonly ends: ExpectedEnds;
    readonly owners: Int32Array;
  },
): Occupants {
  const indexes = new Map(inputs.nodes.map(({ name }, index) => [name, index]));
  const count = input.occupied.length;
  const [at, wantedMs] = [new Float64Array(count), new Float64Array(count)];
  const endsAt = new Float64Array(count).fill(Infinity);
  const shares = input.occupied.map((occupied, index) => {
    const ends = endTime(occupied, input);
    [at[index], wantedMs[index]] = [occupied.at, occupied.size.wantedMs];
    return occupied.shares.flatMap((share): NodeShare[] => {
      const node = share.node === null ? inputs.unpinned.get(share) : indexes.get(share.node);
      if (node === undefined) return [];
      endsAt[index] = ends;
      return [addShare(inputs.ends, node, share.units, ends <= input.now ? goneAt(ends, input.now) : ends)];
    });
  });
  return { owners: inputs.owners, at, wantedMs, endsAt, shares };
}

function getReadyAt(
  input: PlanInput,
  nodes: readonly FreeNode[],
  unpinned: ReadonlyMap<Share, number>,
): readonly number[] {
  const readyAt = nodes.map(({ name }) => (name === null ? Number.NaN : input.now));
  for (const { shares, endsAt, at } of input.occupied) {
    for (const share of shares) {
      const made = unpinned.get(share);
      if (made === undefined) continue;
      readyAt[made] = endsAt === null ? at + (nodes[made]?.startupMs ?? input.startupMs) : input.now;
    }
  }
  return readyAt;
}

function byOwnerAndNeed(waiters: readonly Waiter[], owners: number): readonly (readonly Line[])[] {
  const lines: { need: number; waiters: number[]; index: number }[][] = Array.from({ length: owners }, () => []);
  let count = 0;
  for (const [index, { owner, need }] of waiters.entries()) {
    const line = lines[owner]?.find((candidate) => candidate.need === need);
    if (line) line.waiters.push(index);
    else lines[owner]?.push({ need, waiters: [index], index: count++ });
  }
  return lines;
}

interface Numbering<T> {
  readonly all: readonly T[];
  /** Returns the number of this value, the next one for a new value. */
  getNumber(value: T): number;
}

function numbering<T>(first: readonly T[], toKey: (value: T) => string): Numbering<T> {
  const numbers = new Map(first.map((value, index) => [toKey(value), index]));
  const all = [...first];
  return {
    all,
    getNumber(value) {
      const number = numbers.get(toKey(value)) ?? all.push(value) - 1;
      numbers.set(toKey(value), number);
      return number;
    },
  };
}
