import type { PlannerContext } from "../../reconciler/step.ts";
import { sameData } from "../../store/same-data.ts";
import type { Decision } from "../admission/decide.ts";
import type { Grant, Ledger, Pool } from "../ledger/record.ts";
import { getLackingZones } from "../ledger/shortage.ts";
import { type Candidate, nextRound, type ScanWindow } from "../ledger/waiting-list.ts";
import type { Written } from "../ledger/write-ledger.ts";
import { hasStarted, listNewZones } from "./new-machines.ts";
import type { Plan, QueuePlace } from "./plan.ts";
import { makeableText, startTexts, zoneLackText } from "./reasons.ts";
import { summarize } from "./summary.ts";

export interface Advice {
  readonly places: readonly QueuePlace[];
  /** False if more jobs wait than one plan reads. */
  readonly namesAll: boolean;
  /** Why no new machine can be created, as text. */
  readonly lacks: string | undefined;
  /** The same for jobs that must be in one of these zones. */
  readonly zoneLacks: Readonly<Record<string, string>>;
  /** Texts about node groups that have not started, by the time of their start, ms. */
  readonly starts: Readonly<Record<string, string>>;
  /** What operators will drain, as text, by the time at which machines close, ms. */
  readonly closings: Readonly<Record<string, string>> | undefined;
}

/** Interval between plans while a grant is open. */
const OPEN_GRANTS_MS = 5_000;
/** Interval after a change. */
const CHANGED_MS = 2_000;
/** Interval after a partial write: another writer was faster, or the plan exceeded one transaction. */
const PART_MS = 1_000;
/** Interval otherwise. */
const IDLE_MS = 60_000;
/** The most ledger items that `offered` names. Other environments learn of their grant only by a message. */
const MOST_OFFERED_ITEMS = 1_000;
/** The most environments to which a place is shown while their grants wait for the pool to reopen. */
const MOST_SHOWN = 1_000;
const ADVICE_MS = 2_000;

/**
 * Returns the head of the pool after a plan whose ledger items are written: seen jobs, the summary, and when to plan
 * again. It replaces what another planner wrote, because it is advice. Fields set by an operator are kept.
 */
export function headAfterPlan(
  ctx: PlannerContext,
  pool: Pool,
  { planned, waiting, unread, ledger: decided }: Decision,
  { ledger, isPart }: Written,
  now: number,
): Pool {
  const seen = planned.places.map((place) => place.uid);
  const oldest = getOldest(ledger.granted);
  const offeredItems = oldest.map(({ uid, items }) => [uid, [...new Set(items)]] as const);
  const others = offeredUnread(pool, ledger).filter(([uid]) => offeredItems.every(([otherUid]) => otherUid !== uid));
  const offered = Object.fromEntries(withRoom([...offeredItems, ...others], ([, items]) => items.length));
  const summary = summarize(ctx, ledger, waiting, planned, now);
  // A first in line whose record cannot be read stays first (docs/architecture/admission.md#fairness).
  const head = pool.head && unread.has(pool.head.key) ? pool.head : firstInLine(waiting.candidates, planned, ledger);
  const isChanged = planned.grants.length > 0 || mayAdmitOthers(pool, { summary, head });
  const round = pool.closed ? undefined : nextRound(pool.round, waiting.reach, isChanged, now);
  const isNews =
    oldest.some(({ uid }) => !Object.hasOwn(pool.offered, uid)) ||
    hasNews(pool, { seen, summary, reach: waiting.reach, round });
  const digits = getDigits(listPlaces(decided, planned));
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
    // If no advice was due yet, plan again once it is, so that users do not see an old place.
    dueAt: givesAdvice || isPart ? now + wait : pool.advisedAt + ADVICE_MS,
  };
}

export function findAdvice(pool: Pool, { ledger, input, planned, waiting }: Decision, now: number): Advice | undefined {
  if (!isAdviceDue(pool, now)) return undefined;
  const { makeable } = ledger;
  const started = input.makeable.filter(hasStarted);
  const lacks = makeableText(makeable, listNewZones(started), pool.type);
  const zones = [...(input.lackingZones?.keys() ?? [])];
  const zoneLacks = Object.fromEntries(zones.map((zone) => [zone, zoneLackText(makeable, zone, pool.type)]));
  const closings = input.closings && Object.fromEntries(input.closings);
  const starts = startTexts(input.makeable, pool.type);
  return { places: listPlaces(ledger, planned), namesAll: isWhole(waiting.reach), lacks, zoneLacks, starts, closings };
}

/** Returns the places to show. While the pool is closed, jobs with a grant wait too, before all others. */
function listPlaces({ pool: { closed }, granted }: Ledger, { places }: Plan): readonly QueuePlace[] {
  if (!closed || granted.length === 0) return places;
  const oldest = granted.toSorted((a, b) => a.at - b.at).slice(0, MOST_SHOWN);
  const first = oldest.map(({ uid, size }, index) => {
    const place = { uid, position: index + 1, startsAt: null };
    return { ...place, code: closed, needed: size.machines * size.units, available: 0 };
  });
  return [...first, ...places.map((place) => ({ ...place, position: first.length + place.position }))];
}

function getOldest(granted: readonly Grant[]): Grant[] {
  return withRoom(
    granted.toSorted((a, b) => a.at - b.at),
    ({ items }) => new Set(items).size,
  );
}

function withRoom<T>(entries: readonly T[], getCount: (entry: T) => number): T[] {
  let count = 0;
  return entries.filter((entry) => {
    count += getCount(entry);
    return count <= MOST_OFFERED_ITEMS;
  });
}

/** Reports whether advice is due. It ignores a last advice in the future, written by a host whose clock is ahead. */
function isAdviceDue({ advisedAt }: Pool, now: number): boolean {
  return now - advisedAt >= ADVICE_MS || advisedAt > now;
}

/** Returns the time until a machine that is set aside, or new machines, may be granted again. */
function asideMs({ nodes, makeable }: Ledger, now: number): number {
  const retries = getLackingZones(makeable, now).values();
  const starts = makeable.group?.members?.map(({ startsAt = 0 }) => startsAt) ?? [];
  const times = [
    ...nodes.map(({ asideUntil = 0 }) => asideUntil),
    makeable.shortage?.until ?? 0,
    ...retries,
    ...starts,
  ];
  return Math.min(...times.flatMap((until) => (until > now ? [until - now] : [])));
}

/** Returns the offers in unreadable ledger items. This plan does not see those grants, but they still stand. */
function offeredUnread({ offered }: Pool, { unreadable }: Ledger): (readonly [string, readonly string[]])[] {
  return Object.entries(offered).filter(([, items]) => items.some((item) => unreadable.has(item)));
}

/**
 * Returns the first job in line that has no grant after the plan: one whose grant the store refused, if it came before
 * the one with the reserved start.
 */
function firstInLine(candidates: readonly Candidate[], planned: Plan, { granted }: Ledger): Pool["head"] {
  const written = new Set(granted.map(({ uid }) => uid));
  const refused = planned.grants.slice(0, planned.grantsBefore).find(({ uid }) => !written.has(uid));
  const first = refused?.uid ?? planned.head;
  const found = candidates.find(({ uid }) => uid === first);
  return found ? { uid: found.uid, key: found.key } : null;
}

function isWhole({ last, cut }: ScanWindow): boolean {
  return last === null && Object.keys(cut).length === 0;
}

/** Reports whether a job may fit now that did not fit before: other units are free, or are reserved for another job. */
function mayAdmitOthers(before: Pool, { summary, head }: Pick<Pool, "summary" | "head">): boolean {
  const { free, mostFree } = before.summary;
  return free !== summary.free || !sameData(mostFree, summary.mostFree) || before.head?.uid !== head?.uid;
}

/**
 * Reports whether to plan again soon. A plan that reads only some owners sees different jobs each time, which is no
 * change. It is repeated while capacity is free, until a whole round found no job that fits.
 */
function hasNews(
  before: Pool,
  { seen, summary, reach, round }: Pick<Pool, "seen" | "summary" | "reach" | "round">,
): boolean {
  if (reach.last !== null) return summary.free > 0 && round?.settledAt === null;
  // An arrival behind the cut is not seen, but it changes the count.
  return !sameMembers(seen, before.seen) || (!isWhole(reach) && summary.waiting !== before.summary.waiting);
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  const members = new Set(b);
  return a.length === b.length && a.every((member) => members.has(member));
}

function getDigits(places: readonly QueuePlace[]): string {
  return [...new Set(places.map((place) => place.uid.slice(0, 1)))].sort().join("");
}
