import { type EndHeap, endHeap } from "../../heap.ts";
import { both, listEnds, openTo } from "../plan/closings.ts";
import type { Allowed, FreeUnits, Need } from "../plan/free-units.ts";
import { goneAt, passes, type Reservation } from "../plan/reservation.ts";
import { addShare, copyEnds, type ExpectedEnds, endShare, type NodeShare, reserveStart } from "./expected-ends.ts";
import { nextWaiter, noteReturn, noteStart, type WaitingOwners, waitingOwners } from "./forecast-order.ts";
import type { ForecastPool } from "./forecast-pool.ts";

export interface RunOptions {
  readonly now: number;
  readonly startupMs: number;
  /** Returns how long a job keeps its capacity, given its owner, wanted time and the time already spent. */
  tookMs(owner: number, wantedMs: number, spentMs: number): number;
  readonly mostStarts: number;
  readonly until: number;
  /** Reports whether this run's time is over. Called after `leastEnds` ends, so slow machines get results too. */
  isOver(): boolean;
  readonly leastEnds: number;
  /** Needs to find room for, behind all waiting jobs. */
  readonly asked: readonly Need[];
}

export interface Run {
  /** When each waiting job starts. Infinity if not within the run. */
  readonly startsAt: Float64Array;
  readonly roomAt: Float64Array;
  /** Earlier gaps in which each of `asked` has room for a limited time. */
  readonly gaps: readonly (readonly FoundGap[])[];
  /** How far the run went. Infinity: to the end, so jobs without a start never start. */
  readonly wentTo: number;
  /** True if the time budget ended the run. */
  readonly isCut: boolean;
}

/** Room before the reserved start, found by one run, for jobs that want it no longer than it lasts. Times are ms. */
export interface FoundGap {
  readonly startsAt: number;
  readonly lastsMs: number;
}

interface Begun {
  readonly owner: number;
  readonly at: number;
  readonly shares: readonly NodeShare[];
}

interface State {
  readonly pool: ForecastPool;
  readonly options: RunOptions;
  readonly free: FreeUnits;
  readonly ends: ExpectedEnds;
  readonly owners: WaitingOwners;
  readonly readyAt: number[];
  /** Jobs that started in this run. In `ending` they are numbered after the pool's occupants. */
  readonly began: Begun[];
  readonly ending: EndHeap;
  readonly startsAt: Float64Array;
  readonly roomAt: Float64Array;
  readonly gaps: readonly FoundGap[][];
  now: number;
  head: number;
}

/** Ends between two checks of the clock. */
const ENDS_PER_SCAN = 16;

/** Simulates the pool from the present, one end or arrival after another. After each, it grants as `plan` would. */
export function runForward(pool: ForecastPool, options: RunOptions): Run {
  const state = begun(pool, options);
  const { ending, owners, startsAt, roomAt, gaps } = state;
  const done = (wentTo: number, isCut = false): Run => ({ startsAt, roomAt, gaps, wentTo, isCut });
  let coming = pool.waiters.findIndex(({ comesAt }) => comesAt !== undefined);
  admit(state);
  for (let ends = 1; waits(owners) || roomAt.includes(Infinity); ends++) {
    while ((pool.waiters[coming]?.comesAt ?? Infinity) <= state.now) coming++;
    const next = Math.min(ending.nextAt(), pool.waiters[coming]?.comesAt ?? Infinity);
    if (next === Infinity) return done(Infinity);
    if (next > options.until) return done(options.until);
    if (waits(owners) && owners.started >= options.mostStarts) return done(state.now);
    if (ends >= options.leastEnds && ends % ENDS_PER_SCAN === 0 && options.isOver()) return done(state.now, true);
    state.now = next;
    while (ending.nextAt() === next) giveBack(state, ending.pop());
    admit(state);
  }
  return done(Infinity);
}

function begun(pool: ForecastPool, options: RunOptions): State {
  const free = pool.free.copy();
  return {
    pool,
    options,
    free,
    ending: endHeap(drawnEnds(pool, options), pool.occupants.owners.length),
    began: [],
    ends: copyEnds(pool.ends, free),
    owners: waitingOwners(pool, options.now),
    readyAt: [...pool.readyAt],
    startsAt: new Float64Array(pool.waiters.length).fill(Infinity),
    roomAt: new Float64Array(options.asked.length).fill(Infinity),
    gaps: options.asked.map(() => []),
    now: options.now,
    head: pool.head,
  };
}

/** Draws when the occupants end in this run. Leaves room in the array for jobs that start in the run. */
function drawnEnds({ occupants, waiters }: ForecastPool, { now, tookMs }: RunOptions): Float64Array {
  const count = occupants.owners.length;
  const drawn = new Float64Array(count + waiters.length);
  for (let index = 0; index < count; index++) {
    const endsAt = occupants.endsAt[index] ?? 0;
    const wantedMs = occupants.wantedMs[index] ?? 0;
    const startedAt = endsAt - wantedMs;
    const took = tookMs(occupants.owners[index] ?? 0, wantedMs, now - startedAt);
    drawn[index] = endsAt <= now ? goneAt(endsAt, now) : Math.max(now, startedAt + took);
  }
  return drawn;
}

function giveBack({ pool: { occupants }, began, ends, owners, now }: State, index: number): void {
  const count = occupants.owners.length;
  // An index below 0 would be looked up as the name of a field, which is slow.
  const begunJob = index < count ? undefined : began[index - count];
  const { owner = 0, at = now } = begunJob ?? { owner: occupants.owners[index], at: occupants.at[index] };
  for (const share of begunJob?.shares ?? occupants.shares[index] ?? []) {
    endShare(ends, share);
    noteReturn(owners, owner, share.units, at, now);
  }
}

/** Reports whether a job that waited at the beginning still waits. */
function waits({ present, started }: WaitingOwners): boolean {
  return started < present;
}

/** Grants as `plan` does: in fair order until a job does not fit, then jobs that do not delay it. */
function admit(state: State): void {
  const { pool, owners } = state;
  const limits = pool.needs.map(() => Infinity);
  let reserved: Reservation | undefined;
  for (
    let next = state.head >= 0 ? state.head : nextWaiter(owners, limits, state.now);
    next >= 0;
    next = nextWaiter(owners, limits, state.now)
  ) {
    const need = getNeed(state, next);
    if (start(state, next)) {
      state.head = -1;
      continue;
    }
    const { wantedMs = 0, need: index = 0 } = pool.waiters[next] ?? {};
    const latestEnd = pool.closings && pool.latestEnd(need);
    reserved = reserveStart(state.ends, need, { now: state.now, wantedMs, latestEnd });
    state.head = reserved ? next : -1;
    if (reserved) break;
    // A shorter job may fit before the machines close.
    limits[index] = pool.closings ? wantedMs - 1 : -1;
  }
  if (reserved) letPass(state, reserved, limits);
  findRoom(state, reserved);
}

/** Backfills: starts other jobs in fair order if they do not delay the reserved start. */
function letPass(state: State, reserved: Reservation, limits: number[]): void {
  const { pool, free, owners, now } = state;
  for (;;) {
    const largest = free.largest();
    let isOpen = false;
    for (const [index, need] of pool.needs.entries()) {
      if ((limits[index] ?? 0) < 0) continue;
      const fits = need.units <= largest && (owners.wanting[index] ?? 0) > 0;
      limits[index] = fits ? longestFor(state, reserved, index) : -1;
      isOpen ||= (limits[index] ?? 0) >= 0;
    }
    if (!isOpen) return;
    const next = nextWaiter(owners, limits, state.now);
    if (next < 0) return;
    const { wantedMs = 0 } = pool.waiters[next] ?? {};
    start(state, next, passes(reserved, free, getNeed(state, next), now + wantedMs));
  }
}

/** Returns the longest time for which a job of this need may be backfilled now, negative if none may. */
function longestFor(state: State, reserved: Reservation, index: number): number {
  const { pool, free, now } = state;
  const need = pool.needs[index];
  if (!need) return -1;
  for (const endsAt of endsToTry(state, reserved)) {
    if ((pool.leastMs[index] ?? Infinity) > endsAt - now) return -1;
    if (free.find(need, allowedTo(state, reserved, need, endsAt))) return endsAt - now;
  }
  return -1;
}

/** Returns the ends up to which a job may have room now, latest first: the reserved start, and when machines close. */
function endsToTry({ pool, now }: State, reserved: Reservation | undefined): readonly number[] {
  const ends = listEnds(pool).filter((endsAt) => endsAt > now);
  return reserved ? [...ends, reserved.startsAt].sort((a, b) => (a < b ? 1 : -1)) : ends;
}

function allowedTo(
  { pool, free }: State,
  reserved: Reservation | undefined,
  need: Need,
  endsAt: number,
): Allowed | undefined {
  return both(reserved && passes(reserved, free, need, endsAt), openTo(pool.nodes, pool, endsAt));
}

function getNeed({ pool }: State, waiter: number): Need {
  const need = pool.needs[pool.waiters[waiter]?.need ?? -1];
  if (!need) throw new Error("Every waiting job has a need");
  return need;
}

function start(state: State, index: number, allowed?: Allowed): boolean {
  const { pool, options, free, ends, now } = state;
  const waiter = pool.waiters[index];
  const need = getNeed(state, index);
  if (!waiter) return false;
  const placed = free.take(need, both(allowed, openTo(pool.nodes, pool, now + waiter.wantedMs)));
  if (!placed) return false;
  const startsAt = readyOn(state, placed.nodes);
  for (const node of placed.nodes) if (Number.isNaN(state.readyAt[node])) state.readyAt[node] = startsAt;
  state.startsAt[index] = startsAt;
  noteStart(state.owners, index);
  const until = startsAt + waiter.wantedMs;
  const shares = placed.nodes.map((node) => addShare(ends, node, need.units, until));
  const endsAt = startsAt + options.tookMs(waiter.owner, waiter.wantedMs, 0);
  state.ending.push(pool.occupants.owners.length + state.began.length, endsAt);
  state.began.push({ at: now, owner: waiter.owner, shares });
  return true;
}

function readyOn({ pool, readyAt, now, options }: State, nodes: readonly number[]): number {
  const times = nodes.map((node) => {
    const time = readyAt[node] ?? now;
    return Number.isNaN(time) ? now + (pool.nodes[node]?.startupMs ?? options.startupMs) : time;
  });
  return Math.max(now, ...times);
}

/** Records room without a time limit, and room for jobs that end before the reserved start, or before machines close. */
function findRoom(state: State, reserved: Reservation | undefined): void {
  const { free, roomAt, gaps, options } = state;
  const largest = free.largest();
  const ends = endsToTry(state, reserved);
  for (const [index, need] of options.asked.entries()) {
    if (roomAt[index] !== Infinity || need.units > largest) continue;
    const knownGaps = gaps[index] ?? [];
    for (const endsAt of ends) {
      const lastsMs = endsAt - state.now;
      if (endsAt !== Infinity && !isLonger(knownGaps, lastsMs)) break;
      const found = free.find(need, allowedTo(state, reserved, need, endsAt));
      if (!found) continue;
      if (endsAt === Infinity) roomAt[index] = readyOn(state, found);
      else knownGaps.push({ startsAt: readyOn(state, found), lastsMs });
      break;
    }
  }
}

const MOST_FOUND = 8;

/** Reports whether a gap is worth keeping. Each later gap must last longer. */
export function isLonger(found: readonly FoundGap[], lastsMs: number): boolean {
  return found.length < MOST_FOUND && lastsMs > (found.at(-1)?.lastsMs ?? 0);
}
