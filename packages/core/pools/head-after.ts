import type { PlannerContext } from "../worker.ts";
import type { Decision } from "./decide.ts";
import type { Candidate, Reach } from "./lines.ts";
import type { Place, Plan } from "./plan.ts";
import type { Grant, Ledger, Pool } from "./record.ts";
import { summarize } from "./summary.ts";
import type { Written } from "./write-ledger.ts";

export interface Advice {
  readonly places: readonly Place[];
  /** Whether everybody who waits is in it. */
  readonly complete: boolean;
}

const OPEN_GRANTS_MS = 5_000;
const CHANGED_MS = 2_000;
/** The next plan comes so soon where a part of one was not written: somebody was faster, or it was too much at once. */
const PART_MS = 1_000;
const IDLE_MS = 60_000;
/** More items than these have room in no head: whose grants lie in others is told by looks alone. */
const MOST_OFFERED_ITEMS = 1_000;
/** So many of those who cannot take their grants are told their place. */
const MOST_SHOWN = 1_000;
const ADVICE_MS = 2_000;

/**
 * Gives the head once the ledger items were written: who was seen, the summary, when to look again. What it says is
 * advice, so it replaces whatever another planner has written of the same; what an operator wrote there stays.
 */
export function headAfter(
  ctx: PlannerContext,
  pool: Pool,
  { planned, list, unread, ledger: decided }: Decision,
  { ledger, isPart }: Written,
  now: number,
): Pool {
  const seen = planned.places.map((place) => place.uid);
  const oldest = oldestOf(ledger.granted);
  const given = oldest.map(({ uid, items }) => [uid, [...new Set(items)]] as const);
  const others = offeredUnread(pool, ledger).filter(([uid]) => given.every(([one]) => one !== uid));
  const offered = Object.fromEntries(withRoom([...given, ...others], ([, items]) => items.length));
  const summary = summarize(ctx, ledger, list, planned, now);
  const isNews =
    oldest.some(({ uid }) => !Object.hasOwn(pool.offered, uid)) || hasNews(pool, { seen, summary, reach: list.reach });
  const digits = digitsOf(placesOf(decided, planned));
  const advise = advises(pool, now);
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
    reach: list.reach,
    head: pool.head && unread.has(pool.head.key) ? pool.head : headOf(list.candidates, planned),
    summary,
    plans: pool.plans + 1,
    advisedAt: advise && hasAdvice ? now : pool.advisedAt,
    advised: advise ? digits : pool.advised,
    dueAt: advise || isPart ? now + wait : pool.advisedAt + ADVICE_MS,
  };
}

/** Gives what those who wait are told; undefined while the last advice is too fresh. */
export function adviceOf(pool: Pool, { ledger, planned, list }: Decision, now: number): Advice | undefined {
  return advises(pool, now) ? { places: placesOf(ledger, planned), complete: isWhole(list.reach) } : undefined;
}

/** Who was granted something and cannot take it before the pool is open waits as well, and comes first. */
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

/** A last word of a moment that has not come is one by another clock: nobody waits for it. */
function advises({ advisedAt }: Pool, now: number): boolean {
  return now - advisedAt >= ADVICE_MS || advisedAt > now;
}

/** How long until the first machine that is set aside may be given again. */
function asideMs({ nodes }: Ledger, now: number): number {
  return Math.min(...nodes.flatMap(({ asideUntil = 0 }) => (asideUntil > now ? [asideUntil - now] : [])));
}

/** What was offered in items that cannot be read: who was given that has it still, whatever this plan knows of it. */
function offeredUnread({ offered }: Pool, { unreadable }: Ledger): (readonly [string, readonly string[]])[] {
  return Object.entries(offered).filter(([, items]) => items.some((item) => unreadable.has(item)));
}

function headOf(candidates: readonly Candidate[], { head }: Plan): Pool["head"] {
  const found = candidates.find(({ uid }) => uid === head);
  return found ? { uid: found.uid, key: found.key } : null;
}

function isWhole({ last, cut }: Reach): boolean {
  return last === null && Object.keys(cut).length === 0;
}

/** Whether the next plan is needed soon. Where each plan reads other owners, it is only while there is something to give. */
function hasNews(before: Pool, { seen, summary, reach }: Pick<Pool, "seen" | "summary" | "reach">): boolean {
  if (reach.last !== null) return summary.free > 0 && !before.closed;
  // Who stands far back makes no plan by asking for one, but is counted.
  return !sameMembers(seen, before.seen) || (!isWhole(reach) && summary.waiting !== before.summary.waiting);
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  const known = new Set(b);
  return a.length === b.length && a.every((one) => known.has(one));
}

/** Which of the 16 plan items have somebody in them. */
function digitsOf(places: readonly Place[]): string {
  return [...new Set(places.map((place) => place.uid.slice(0, 1)))].sort().join("");
}
