import type { Share } from "../../ports/compute.ts";
import { countUnitsByOwner } from "../ledger/units-by-owner.ts";
import { byAge } from "../plan/fair-order.ts";
import { type FreeNode, type FreeUnits, freeUnits, type Need } from "../plan/free-units.ts";
import { type AllNodes, allNodes, canEverFit, type Occupied, type PlanInput } from "../plan/plan.ts";
import type { Arrivals } from "./arrivals.ts";
import { type ExpectedEnds, expectedEnds } from "./expected-ends.ts";
import { endTime, goneAt } from "./reservation.ts";

/** Capacity in use at the start of a run, as arrays indexed by occupant. Each run visits up to 100,000 of them. */
export interface Occupants {
  readonly owners: Int32Array;
  /** Since when it holds its capacity, ms. */
  readonly at: Float64Array;
  readonly wantedMs: Float64Array;
  /** The end that the planner assumes. Infinity if it has no machine of this pool. */
  readonly endsAt: Float64Array;
  /** The number of its first share. The next occupant's first share follows its last. */
  readonly shares: Int32Array;
}

export interface Waiter {
  readonly uid: string;
  readonly owner: number;
  readonly need: number;
  readonly wantedMs: number;
  /** Expected arrival, ms. Only for jobs that are not submitted yet. */
  readonly comesAt?: number;
}

/** The pool at the start of every run. Owners, needs, nodes and waiting jobs are indexes. */
export interface ForecastPool {
  readonly owners: readonly string[];
  readonly needs: readonly Need[];
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
  const { names, numbers, units } = countUnitsByOwner(input.occupied);
  const owners = numbering<string>();
  for (const name of names) owners.getNumber(name, name);
  const free = freeUnits(nodes);
  const ends = expectedEnds(
    nodes.map(({ zone }) => zone),
    free,
  );
  const occupants = getOccupants(input, { nodes, unpinned, ends, owners: numbers });
  const needs = numbering<Need>();
  const canFit = new Map<number, boolean>();
  const waiters = [...input.waiting].sort(byAge).flatMap((entry): Waiter[] => {
    const need = { machines: entry.size.machines, units: entry.size.units, zone: entry.zone };
    const number = needs.getNumber(formatKey(need), need);
    const fits = canFit.get(number) ?? canEverFit(nodes, input, need);
    canFit.set(number, fits);
    if (!fits) return [];
    const owner = owners.getNumber(entry.owner, entry.owner);
    return [{ uid: entry.uid, owner, need: number, wantedMs: entry.size.wantedMs }];
  });
  return {
    owners: owners.all,
    needs: needs.all,
    leastMs: leastByNeed(waiters, needs.all.length),
    waiters,
    lines: listLines(waiters, owners.all.length),
    free,
    nodes,
    readyAt: getReadyAt(input, nodes, unpinned),
    occupants,
    ends,
    units: owners.all.map((owner) => units.get(owner) ?? 0),
    used: owners.all.map((owner) => input.used?.get(owner) ?? 0),
    head: waiters.findIndex(({ uid }) => uid === input.head),
  };
}

/** Returns the pool with expected arrivals added, as far as they can fit. */
export function withArrivals(pool: ForecastPool, arrivals: Arrivals, plan: PlanInput): ForecastPool {
  if (arrivals.length === 0) return pool;
  const owners = numbering<string>();
  for (const owner of pool.owners) owners.getNumber(owner, owner);
  const needs = numbering<Need>();
  for (const need of pool.needs) needs.getNumber(formatKey(need), need);
  const canFit = pool.needs.map(() => true);
  const coming = arrivals.flatMap(({ at, owner, size, zone }): Waiter[] => {
    const need = { machines: size.machines, units: size.units, zone };
    const number = needs.getNumber(formatKey(need), need);
    canFit[number] ??= canEverFit(pool.nodes, plan, need);
    if (!canFit[number]) return [];
    return [{ uid: "", owner: owners.getNumber(owner, owner), need: number, wantedMs: size.wantedMs, comesAt: at }];
  });
  const waiters = [...pool.waiters, ...coming];
  return {
    ...pool,
    owners: owners.all,
    needs: needs.all,
    waiters,
    leastMs: leastByNeed(waiters, needs.all.length),
    lines: listLines(waiters, owners.all.length),
    units: owners.all.map((_, owner) => pool.units[owner] ?? 0),
    used: owners.all.map((owner) => plan.used?.get(owner) ?? 0),
  };
}

function formatKey({ machines, units, zone }: Need): string {
  return `${machines} ${units} ${zone ?? ""}`;
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
  const shares = new Int32Array(count + 1);
  const [at, wantedMs] = [new Float64Array(count), new Float64Array(count)];
  const endsAt = new Float64Array(count).fill(Infinity);
  let added = 0;
  for (let index = 0; index < count; index++) {
    const occupied = input.occupied[index] as Occupied;
    [at[index], wantedMs[index], shares[index]] = [occupied.at, occupied.size.wantedMs, added];
    const ends = endTime(occupied, input);
    for (const share of occupied.shares) {
      const node = share.node === null ? inputs.unpinned.get(share) : indexes.get(share.node);
      if (node === undefined) continue;
      inputs.ends.add(node, share.units, ends <= input.now ? goneAt(ends, input.now) : ends);
      endsAt[index] = ends;
      added += 1;
    }
  }
  shares[count] = added;
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
      if (made !== undefined) readyAt[made] = endsAt === null ? at + input.startupMs : input.now;
    }
  }
  return readyAt;
}

function listLines(waiters: readonly Waiter[], owners: number): readonly (readonly Line[])[] {
  const lines: { need: number; waiters: number[]; index: number }[][] = Array.from({ length: owners }, () => []);
  let count = 0;
  for (const [index, { owner, need }] of waiters.entries()) {
    const line = lines[owner]?.find((candidate) => candidate.need === need);
    if (line) line.waiters.push(index);
    else lines[owner]?.push({ need, waiters: [index], index: count++ });
  }
  return lines;
}

function leastByNeed(waiters: readonly Waiter[], needs: number): readonly number[] {
  const least = Array.from({ length: needs }, () => Infinity);
  for (const { need, wantedMs } of waiters) least[need] = Math.min(least[need] ?? Infinity, wantedMs);
  return least;
}

interface Numbering<T> {
  readonly all: readonly T[];
  /** Returns the number of this key, a new one for a new key. */
  getNumber(key: string, value: T): number;
}

function numbering<T>(): Numbering<T> {
  const numbers = new Map<string, number>();
  const all: T[] = [];
  return {
    all,
    getNumber(key, value) {
      const knownNumber = numbers.get(key);
      if (knownNumber !== undefined) return knownNumber;
      numbers.set(key, all.length);
      return all.push(value) - 1;
    },
  };
}
