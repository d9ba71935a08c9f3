import { type Environment, isWaiting, keyOf } from "../environments/record/record.ts";
import { instanceTypeOfPool, unitsPerNode } from "../fleet.ts";
import { keyText } from "../keys.ts";
import type { Share } from "../ports/compute.ts";
import { sameData } from "../same-data.ts";
import type { PlannerContext } from "../worker.ts";
import type { Candidate, Reach } from "./lines.ts";
import { readNamed } from "./named.ts";
import { type Occupied, type Place, type Plan, type PlanInput, plan } from "./plan.ts";
import type { Grant, Holding, Ledger, MakeableLedger, NodeLedger, Pool } from "./record.ts";
import { isBlind, makeable, summarize, unreadableNodes } from "./summary.ts";
import { readUsed, type Used } from "./used.ts";
import { candidateOf, readWaiting, type WhoWaits } from "./waiting.ts";
import type { Written } from "./write-ledger.ts";

export interface Advice {
  readonly places: readonly Place[];
  /** Whether everybody who waits is in it. */
  readonly complete: boolean;
}

/** What a plan gives, over a ledger that was compared with its records, and what it says of those who wait. */
export interface Decision {
  /** The ledger with the new grants. */
  readonly ledger: Ledger;
  /** What the plan was made of. */
  readonly input: PlanInput;
  readonly planned: Plan;
  readonly list: WhoWaits;
  readonly used: Used;
  /** The keys of those who were chosen, and whose records cannot be read. */
  readonly unread: ReadonlySet<string>;
}

const OPEN_GRANTS_MS = 5_000;
const CHANGED_MS = 2_000;
/** The next plan comes so soon where a part of one was not written: somebody was faster, or it was too much at once. */
const PART_MS = 1_000;
const IDLE_MS = 60_000;
/** More items than these have room in no head: whose grants lie in others is told by looks alone. */
const MOST_OFFERED_ITEMS = 1_000;
/** So many of those who cannot take their grants are told their place. */
const MOST_TOLD = 1_000;
const ADVICE_MS = 2_000;

/** Plans: who is given what now. Nothing is written yet. */
export async function decideGrants(
  ctx: PlannerContext,
  settled: Ledger,
  named: readonly Environment[],
  returned: readonly Holding[],
  now: number,
): Promise<Decision> {
  const list = await readWaiting(ctx, settled, named);
  const owners = list.candidates.map(({ owner }) => owner);
  const used = await readUsed(ctx, settled.type, owners, returned, now);
  const { grants, ...found } = await planVerified(ctx, { ledger: settled, list, used: used.owners }, named, now);
  return { ledger: { ...settled, granted: [...settled.granted, ...grants] }, ...found, list, used };
}

/**
 * The head once the ledger items were written: who was seen, the summary, when to look again. What it says is advice, so
 * it goes over whatever another planner has written of the same; what an operator wrote there stays.
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
  const digits = digitsOf(toldPlaces(decided, planned));
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

/** What those who wait are told; undefined while the last word is too fresh. */
export function adviceOf(pool: Pool, { ledger, planned, list }: Decision, now: number): Advice | undefined {
  return advises(pool, now) ? { places: toldPlaces(ledger, planned), complete: isWhole(list.reach) } : undefined;
}

/** Who was granted something and cannot take it before the pool is open waits as well, and comes first. */
function toldPlaces({ pool: { closed }, granted }: Ledger, { places }: Plan): readonly Place[] {
  if (!closed || granted.length === 0) return places;
  const oldest = granted.toSorted((a, b) => a.at - b.at).slice(0, MOST_TOLD);
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

/** All that was granted on machines still to be made lies in one item, which no table takes above 400 KB. */
const MOST_UNPINNED = 500;

function machinesIn({ granted, held }: MakeableLedger): number {
  return [...granted, ...held].reduce((sum, { machines }) => sum + machines, 0);
}

/** What a plan is made of besides who is named. */
interface Outset {
  readonly ledger: Ledger;
  readonly list: WhoWaits;
  readonly used: ReadonlyMap<string, number>;
}

/** How many plans are made of all who may wait, each because one that the one before chose did not wait any more. */
const PLANS = 4;
/** So many of those next in order are read as well once one was not what the index says: some stay unreadable for long. */
const READ_AHEAD = 100;

/**
 * The index only proposes: whoever is chosen is read, consistently, before it is granted anything. Where too many of the
 * chosen turn out not to wait, the last plan is one of those alone who were read, the first in line among them: what is
 * kept for it stays kept.
 */
async function planVerified(
  ctx: PlannerContext,
  outset: Outset,
  named: readonly Environment[],
  now: number,
): Promise<Pick<Decision, "input" | "planned" | "unread"> & { readonly grants: Grant[] }> {
  const unread = new Set(outset.list.unread);
  const verified = new Map(named.map((record) => [keyText(keyOf(record)), record]));
  const head = outset.ledger.pool.head?.uid;
  let waiting: readonly Candidate[] = outset.list.candidates;
  for (let tries = 0; ; tries++) {
    const isLast = tries === PLANS;
    if (isLast) waiting = waiting.filter(({ key }) => verified.has(key));
    const input = inputOf(ctx, outset, waiting, now);
    const planned = plan(input);
    const chosen = new Map(planned.grants.map((grant) => [grant.uid, grant.shares]));
    const next = new Set(tries === 0 ? [] : planned.places.slice(0, READ_AHEAD).map(({ uid }) => uid));
    // What is kept for it must not be kept for one that cannot be read.
    if (head !== undefined) next.add(head);
    const checked = waiting.filter(({ uid }) => chosen.has(uid) || next.has(uid));
    const missing = checked.map(({ key }) => key).filter((key) => !verified.has(key));
    const { records, unreadable } = await readNamed(ctx, missing);
    for (const record of records) verified.set(keyText(keyOf(record)), record);
    for (const key of unreadable) unread.add(key);
    const changed = changedSince(checked, verified, outset.ledger.type);
    if (isLast || changed.size === 0) {
      const itemOf = itemsByNode(outset.ledger, now);
      const grants = waiting.flatMap((one) =>
        changed.has(one) ? [] : grantOf(ctx, one, verified.get(one.key), chosen.get(one.uid), itemOf, now),
      );
      return { input, planned, unread, grants };
    }
    waiting = waiting.flatMap((one) => (changed.has(one) ? (changed.get(one) ?? []) : [one]));
  }
}

/** The ledger item of each machine that can be given, and under null that of those still to be made. */
function itemsByNode(ledger: Ledger, now: number): ReadonlyMap<string | null, string> {
  const nodes = usableNodes(ledger, now).map((node) => [node.name, keyText(node)] as const);
  return new Map<string | null, string>([...nodes, [null, keyText(ledger.makeable)]]);
}

/**
 * Those whom the records show otherwise than the index, as they are now: who was stopped meanwhile and started with
 * another size must not be given what it asked for before. Undefined: it waits for nothing here. A late index may also
 * name a life whose id has another one by now.
 */
function changedSince(
  checked: readonly Candidate[],
  verified: ReadonlyMap<string, Environment>,
  type: string,
): ReadonlyMap<Candidate, Candidate | undefined> {
  const changed = new Map<Candidate, Candidate | undefined>();
  for (const one of checked) {
    const record = verified.get(one.key);
    const isHere = record?.uid === one.uid && isWaiting(record) && record.size.pool === type;
    const now = isHere ? candidateOf(record) : undefined;
    if (!sameData(now, one)) changed.set(one, now);
  }
  return changed;
}

function grantOf(
  ctx: PlannerContext,
  { key }: Candidate,
  record: Environment | undefined,
  shares: readonly Share[] | undefined,
  itemOf: ReadonlyMap<string | null, string>,
  now: number,
): Grant[] {
  if (!record || !shares) return [];
  const items = shares.map(({ node }) => itemOf.get(node) ?? "");
  const { uid, owner, size } = record;
  return [{ id: ctx.ids.uid(), key, uid, run: record.run.n, owner, size, shares, items, at: now }];
}

function inputOf(ctx: PlannerContext, { ledger, used }: Outset, waiting: readonly Candidate[], now: number): PlanInput {
  const { pool } = ledger;
  const usable = usableNodes(ledger, now);
  const toMake = makeable(ctx, ledger);
  return {
    nodes: usable.map((node) => ({
      name: node.name,
      zone: node.zone,
      units: Math.max(0, node.units - node.foreignUnits - node.strayUnits),
    })),
    occupied: occupiedOn(ledger, usable),
    waiting,
    makeable: toMake.nodes,
    makeableZone: toMake.zone,
    unreadable: unreadableNodes(ledger),
    unitsPerNode: unitsPerNode(instanceTypeOfPool(ledger.type)),
    startupMs: toMake.startupMs,
    mostUnpinned: Math.max(0, MOST_UNPINNED - machinesIn(ledger.makeable)),
    head: pool.head?.uid ?? null,
    used,
    closed: pool.closed ?? (isBlind(ledger) ? "unreadable" : null),
    now,
  };
}

/**
 * Who occupies what, for the plan alone: the ledger keeps its shares as they are. What was granted on machines still to be
 * made counts on the newest machine that has room for it, as
 * the cluster may have put it there, or put it there next; only where none has, on one still to be made.
 */
function occupiedOn({ held, granted }: Ledger, usable: readonly NodeLedger[]): Occupied[] {
  const all: Occupied[] = [
    ...held,
    ...granted.map(({ owner, shares, at, size }) => ({ owner, shares, at, size, endsAt: null })),
  ];
  if (all.every(({ shares }) => shares.every(({ node }) => node !== null))) return all;
  const free = new Map(usable.map((node) => [node.name, node.units - node.foreignUnits - node.strayUnits]));
  const take = (name: string, units: number) => free.set(name, (free.get(name) ?? 0) - units);
  for (const { node, units } of all.flatMap(({ shares }) => shares)) if (node !== null) take(node, units);
  const newest = usable.toSorted((a, b) => b.since - a.since).map(({ name }) => name);
  return all.map((one) => {
    const own = new Set(one.shares.map(({ node }) => node));
    const shares = one.shares.map((share) => {
      const { node, units } = share;
      const there = node === null && newest.find((name) => !own.has(name) && (free.get(name) ?? 0) >= units);
      if (!there) return share;
      own.add(there);
      take(there, units);
      return { node: there, units };
    });
    return { ...one, shares };
  });
}

/**
 * Machines that can be given. Of two items of one name, which a ledger that is read while a machine is replaced may have,
 * nobody knows which is there: a plan names machines by name and would take both for one.
 */
function usableNodes({ nodes }: Ledger, now: number): NodeLedger[] {
  const usable = nodes.filter(({ ready, gone, asideUntil = 0 }) => ready && !gone && asideUntil <= now);
  const names = new Set<string>();
  const twice = new Set(usable.map(({ name }) => name).filter((name) => names.size === names.add(name).size));
  return twice.size === 0 ? usable : usable.filter(({ name }) => !twice.has(name));
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  const known = new Set(b);
  return a.length === b.length && a.every((one) => known.has(one));
}

/** Which of the 16 plan items have somebody in them. */
function digitsOf(places: readonly Place[]): string {
  return [...new Set(places.map((place) => place.uid.slice(0, 1)))].sort().join("");
}
