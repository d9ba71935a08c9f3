import type { PlannerContext } from "../../reconciler/worker.ts";
import { sameData } from "../../store/same-data.ts";
import type { Decision } from "../admission/decide.ts";
import type { Candidate, Reach } from "../ledger/lines.ts";
import type { Grant, Ledger, Pool } from "../ledger/record.ts";
import type { Written } from "../ledger/write-ledger.ts";
import type { Place, Plan } from "./plan.ts";
import { nextRound } from "./round.ts";
import { summarize } from "./summary.ts";

export interface Advice {
  readonly places: readonly Place[];
  /** Whether it names everybody who waits; otherwise more wait than one plan reads. */
  readonly namesAll: boolean;
}

/** How soon to plan again while a grant is open. */
const OPEN_GRANTS_MS = 5_000;
/** How soon to plan again after a change. */
const CHANGED_MS = 2_000;
/**
 * How soon to plan again where part of a plan was not written, because another writer was faster or the plan was too
 * large for one write.
 */
const PART_MS = 1_000;
/** How soon to plan again otherwise. */
const IDLE_MS = 60_000;
/**
 * The head names at most so many ledger items of open grants. An environment whose items it does not name hears of its
 * grant only by a message.
 */
const MOST_OFFERED_ITEMS = 1_000;
/** At most so many environments whose grants wait for the pool to open are told their place. */
const MOST_SHOWN = 1_000;
/** Advice is written at most this often. */
const ADVICE_MS = 2_000;

/**
 * Makes the head of the pool after a plan, once the ledger items of the plan are written: who was seen, the summary, and
 * when to plan again. What it says is advice, so it replaces whatever another planner has written of the same; what an
 * operator wrote there stays.
 */
export function headAfterPlan(
  ctx: PlannerContext,
  pool: Pool,
  { planned, waiting, unread, ledger: decided }: Decision,
  { ledger, isPart }: Written,
  now: number,
): Pool {
  const seen = planned.places.map((place) => place.uid);
  const oldest = oldestOf(ledger.granted);
  const given = oldest.map(({ uid, items }) => [uid, [...new Set(items)]] as const);
  const others = offeredUnread(pool, ledger).filter(([uid]) => given.every(([one]) => one !== uid));
  const offered = Object.fromEntries(withRoom([...given, ...others], ([, items]) => items.length));
  const summary = summarize(ctx, ledger, waiting, planned, now);
  // A first in line whose record cannot be read stays first (docs/architecture/admission.md#fairness).
  const head = pool.head && unread.has(pool.head.key) ? pool.head : firstInLine(waiting.candidates, planned);
  const isChanged = planned.grants.length > 0 || mayAdmitOthers(pool, { summary, head });
  const round = pool.closed ? undefined : nextRound(pool.round, waiting.reach, isChanged, now);
  const isNews =
    oldest.some(({ uid }) => !Object.hasOwn(pool.offered, uid)) ||
    hasNews(pool, { seen, summary, reach: waiting.reach, round });
  const digits = digitsOf(placesOf(decided, planned));
  const givesAdvice = isAdviceDue(pool, now);
  const hasAdvice = digits !== "" || pool.advised !== "";
  const wait = Math.min(
    isPart ? PART_MS : IDLE_MS,
    isNews ? CHANGED_MS : IDLE_MS,
    ledger.granted.length > 0 && !pool.closed ? OPEN_GRANTS_MS : IDLE_MS,
    seen.length > 0 ? asideMs(ledger, now) : IDLE_MS,
  );
  return {
    ...pool,
    seen,
    offered,
    reach: waiting.reach,
    round,
    head,
    summary,
    plans: pool.plans + 1,
    advisedAt: givesAdvice && hasAdvice ? now : pool.advisedAt,
    advised: givesAdvice ? digits : pool.advised,
    // Where no advice was due yet, the next plan comes when it will be: what people are shown must not stay old.
    dueAt: givesAdvice || isPart ? now + wait : pool.advisedAt + ADVICE_MS,
  };
}

/** Gives what those who wait are told; undefined while the last advice is too fresh. */
export function adviceOf(pool: Pool, { ledger, planned, waiting }: Decision, now: number): Advice | undefined {
  return isAdviceDue(pool, now) ? { places: placesOf(ledger, planned), namesAll: isWhole(waiting.reach) } : undefined;
}

/**
 * The places to show. While the pool is closed, environments with a grant cannot take it: they are shown as waiting,
 * before all others.
 */
function placesOf({ pool: { closed }, granted }: Ledger, { places }: Plan): readonly Place[] {
  if (!closed || granted.length === 0) return places;
  const oldest = granted.toSorted((a, b) => a.at - b.at).slice(0, MOST_SHOWN);
  const first = oldest.map(({ uid, size }, index) => {
    const place = { uid, position: index + 1, startsAt: null };
    return { ...place, code: closed, needed: size.machines * size.units, available: 0 };
  });
  return [...first, ...places.map((place) => ({ ...place, position: first.length + place.position }))];
}

function oldestOf(granted: readonly Grant[]): Grant[] {
  return withRoom(
    granted.toSorted((a, b) => a.at - b.at),
    ({ items }) => new Set(items).size,
  );
}

/** The first of them, as far as all of their ledger items have room in the head. */
function withRoom<T>(entries: readonly T[], countOf: (entry: T) => number): T[] {
  let count = 0;
  return entries.filter((entry) => {
    count += countOf(entry);
    return count <= MOST_OFFERED_ITEMS;
  });
}

/** Whether advice is due. A last advice in the future was written by a host whose clock is ahead, and is ignored. */
function isAdviceDue({ advisedAt }: Pool, now: number): boolean {
  return now - advisedAt >= ADVICE_MS || advisedAt > now;
}

/** How long until the first machine that is set aside may be given again. */
function asideMs({ nodes }: Ledger, now: number): number {
  return Math.min(...nodes.flatMap(({ asideUntil = 0 }) => (asideUntil > now ? [asideUntil - now] : [])));
}

/** Offers in ledger items that cannot be read. This plan knows nothing of those grants, but they still stand. */
function offeredUnread({ offered }: Pool, { unreadable }: Ledger): (readonly [string, readonly string[]])[] {
  return Object.entries(offered).filter(([, items]) => items.some((item) => unreadable.has(item)));
}

/** The environment whose start this plan reserves. */
function firstInLine(candidates: readonly Candidate[], { head }: Plan): Pool["head"] {
  const found = candidates.find(({ uid }) => uid === head);
  return found ? { uid: found.uid, key: found.key } : null;
}

function isWhole({ last, cut }: Reach): boolean {
  return last === null && Object.keys(cut).length === 0;
}

/** Reports whether a job may fit now that did not fit before: other units are free, or are kept for another job. */
function mayAdmitOthers(before: Pool, { summary, head }: Pick<Pool, "summary" | "head">): boolean {
  const { free, mostFree } = before.summary;
  return free !== summary.free || !sameData(mostFree, summary.mostFree) || before.head?.uid !== head?.uid;
}

/**
 * Whether the next plan is needed soon. Where a plan reads only a part of the owners, who was seen differs each time and
 * is no news: then the reason is free capacity, until a whole round found no job that fits into it.
 */
function hasNews(
  before: Pool,
  { seen, summary, reach, round }: Pick<Pool, "seen" | "summary" | "reach" | "round">,
): boolean {
  if (reach.last !== null) return summary.free > 0 && round?.settledAt === null;
  // An environment behind what the plan reads is not seen: its arrival shows in the count alone.
  return !sameMembers(seen, before.seen) || (!isWhole(reach) && summary.waiting !== before.summary.waiting);
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  const known = new Set(b);
  return a.length === b.length && a.every((one) => known.has(one));
}

/** The first digits of the uids, sorted: which of the 16 items of advice have somebody in them. */
function digitsOf(places: readonly Place[]): string {
  return [...new Set(places.map((place) => place.uid.slice(0, 1)))].sort().join("");
}
