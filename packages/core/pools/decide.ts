import type { Environment } from "../environments/record.ts";
import { isWaiting, keyOf } from "../environments/record.ts";
import { instanceTypeOfPool, unitsPerNode } from "../fleet.ts";
import { keyText } from "../keys.ts";
import type { PlannerContext } from "../worker.ts";
import type { Candidate, Lines, Reach } from "./lines.ts";
import { readNamed } from "./named.ts";
import { type Place, type Plan, plan } from "./plan.ts";
import type { Grant, Holding, Pool } from "./record.ts";
import { makeable, summarize } from "./summary.ts";
import { readUsed, type Used } from "./used.ts";
import { readWaiting } from "./waiting.ts";

export interface Advice {
  readonly places: readonly Place[];
  /** Whether everybody who waits is in it. */
  readonly complete: boolean;
}

export interface Decision {
  readonly pool: Pool;
  /** Absent while the last one is too fresh. */
  readonly advice: Advice | undefined;
  readonly used: Used;
}

const OPEN_GRANTS_MS = 5_000;
const CHANGED_MS = 2_000;
const IDLE_MS = 60_000;
const ADVICE_MS = 2_000;

/** Plans over a settled ledger: new grants, who is seen, the summary, when to look again, and what to tell. */
export async function decidePool(
  ctx: PlannerContext,
  settled: Pool,
  named: readonly Environment[],
  returned: readonly Holding[],
  now: number,
): Promise<Decision> {
  const list = await readWaiting(ctx, settled, named);
  const owners = list.candidates.map(({ owner }) => owner);
  const used = await readUsed(ctx, settled.type, owners, returned, now);
  const { planned, grants } = await planVerified(ctx, { pool: settled, list, used: used.owners }, named, now);
  const granted = [...settled.granted, ...grants];
  const seen = planned.places.map((place) => place.uid);
  const summary = summarize(settled, granted, list, planned, now);
  const changed = grants.length > 0 || hasNews(settled, { seen, summary, reach: list.reach });
  const digits = digitsOf(planned.places);
  const advise = now - settled.advisedAt >= ADVICE_MS;
  const tells = digits !== "" || settled.advised !== "";
  const wait = Math.min(
    granted.length > 0 ? OPEN_GRANTS_MS : IDLE_MS,
    seen.length > 0 ? asideMs(settled, now) : IDLE_MS,
  );
  const pool: Pool = {
    ...settled,
    granted,
    seen,
    reach: list.reach,
    head: headOf(list.candidates, planned),
    summary,
    plans: settled.plans + 1,
    advisedAt: advise && tells ? now : settled.advisedAt,
    advised: advise ? digits : settled.advised,
    dueAt: advise ? now + (changed ? Math.min(CHANGED_MS, wait) : wait) : settled.advisedAt + ADVICE_MS,
  };
  return { pool, advice: advise ? { places: planned.places, complete: isWhole(list.reach) } : undefined, used };
}

/** Until the first machine that is set aside may be given again, to who waits for it. */
function asideMs({ setAside }: Pool, now: number): number {
  return Math.min(...setAside.map(({ until }) => until - now));
}

function headOf(candidates: readonly Candidate[], { head }: Plan): Pool["head"] {
  const found = candidates.find(({ uid }) => uid === head);
  return found ? { uid: found.uid, key: found.key } : null;
}

function isWhole({ last, cut }: Reach): boolean {
  return last === null && Object.keys(cut).length === 0;
}

/** Where each plan reads other owners, the next one is only soon needed while there is something to give. */
function hasNews(before: Pool, { seen, summary, reach }: Pick<Pool, "seen" | "summary" | "reach">): boolean {
  if (reach.last !== null) return summary.free > 0 && !before.closed;
  // Who stands far back makes no plan by asking for one, but is counted.
  return !sameMembers(seen, before.seen) || (!isWhole(reach) && summary.waiting !== before.summary.waiting);
}

/** What a plan is made of besides who is named. */
interface Outset {
  readonly pool: Pool;
  readonly list: Lines;
  readonly used: ReadonlyMap<string, number>;
}

/** How often a plan is made again because one that it chose turned out not to wait any more. */
const PLANS = 4;
/** So many of those next in order are read as well once one was not what the index says: some stay unreadable for long. */
const READ_AHEAD = 100;

/** The index only proposes: whoever is chosen is read, consistently, before it is granted anything. */
async function planVerified(
  ctx: PlannerContext,
  outset: Outset,
  named: readonly Environment[],
  now: number,
): Promise<{ planned: Plan; grants: Grant[] }> {
  const verified = new Map(named.map((record) => [keyText(keyOf(record)), record]));
  let waiting: readonly Candidate[] = outset.list.candidates;
  for (let tries = 0; tries < PLANS; tries++) {
    const planned = planOver(outset, waiting, now);
    const chosen = new Map(planned.grants.map((grant) => [grant.uid, grant.shares]));
    const proposed = waiting.filter((one) => chosen.has(one.uid));
    const next = new Set(tries === 0 ? [] : planned.places.slice(0, READ_AHEAD).map(({ uid }) => uid));
    const checked = waiting.filter(({ uid }) => chosen.has(uid) || next.has(uid));
    const unread = checked.map(({ key }) => key).filter((key) => !verified.has(key));
    for (const record of (await readNamed(ctx, unread)).records) verified.set(keyText(keyOf(record)), record);
    const gone = new Set(checked.filter((one) => !stillWaits(one, verified.get(one.key))));
    if (gone.size === 0) {
      return { planned, grants: proposed.flatMap(({ key }) => grantOf(key, verified.get(key), chosen, now)) };
    }
    waiting = waiting.filter((one) => !gone.has(one));
  }
  return { planned: planOver(outset, [], now), grants: [] };
}

/** A late index may name a life whose id has another one by now. */
function stillWaits({ uid }: Candidate, record: Environment | undefined): boolean {
  return record?.uid === uid && isWaiting(record);
}

function grantOf(
  key: string,
  record: Environment | undefined,
  chosen: ReadonlyMap<string, Grant["shares"]>,
  now: number,
): Grant[] {
  const shares = record && chosen.get(record.uid);
  if (!record || !shares) return [];
  return [{ key, uid: record.uid, run: record.run.n, owner: record.owner, size: record.size, shares, at: now }];
}

function planOver({ pool, used }: Outset, waiting: readonly Candidate[], now: number): Plan {
  const units = unitsPerNode(instanceTypeOfPool(pool.type));
  const aside = new Set(pool.setAside.map((node) => node.node));
  const usable = pool.nodes.filter((node) => node.ready && !aside.has(node.name));
  return plan({
    nodes: usable.map((node) => ({ name: node.name, zone: node.zone, units: node.units - node.foreignUnits })),
    occupied: [
      ...pool.held,
      ...pool.granted.map(({ owner, shares, at, size }) => ({ owner, shares, at, size, endsAt: null })),
    ],
    waiting,
    makeable: makeable(pool),
    unitsPerNode: units,
    startupMs: pool.startupMs,
    head: pool.head?.uid ?? null,
    used,
    closed: pool.closed,
    now,
  });
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  const known = new Set(b);
  return a.length === b.length && a.every((one) => known.has(one));
}

/** Which of the 16 plan items have somebody in them. */
function digitsOf(places: readonly Place[]): string {
  return [...new Set(places.map((place) => place.uid.slice(0, 1)))].sort().join("");
}
