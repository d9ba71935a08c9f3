import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { usedKey } from "../../store/keys.ts";
import { HOUR_MS } from "../../units.ts";
import { addDurations, addRun, type Durations, readDurations } from "../forecast/workload.ts";
import type { Holding, Ledger } from "./record.ts";
import { leftBetween } from "./run-outcomes.ts";

/** Recent use of a pool per owner, in one of 16 items by the hash of the owner. */
export interface UsedItem extends Stored {
  readonly kind: "used";
  /** The time to which the numbers have decayed, ms. */
  readonly at: number;
  /** Unit-hours by owner. */
  readonly owners: Readonly<Record<string, number>>;
  /** The fraction of the requested time that jobs used. */
  readonly runs: Durations;
}

export interface Used {
  readonly owners: ReadonlyMap<string, number>;
  readonly changed: readonly UsedItem[];
}

const HALF_LIFE_MS = 24 * HOUR_MS;
/** An item keeps the owners with the most use; the rest is negligible. */
const MOST_OWNERS = 512;
const LEAST_HOURS = 0.01;

/** A holding that its run gave back. */
export interface Returned extends Holding {
  readonly isInterrupted?: boolean;
}

/**
 * Returns the recent use of these owners, including the returned holdings, in at most one batch read. Use only breaks
 * ties, so a lost or repeated addition does no harm.
 */
export async function readUsed(
  ctx: Context<"table">,
  type: string,
  waiting: Iterable<string>,
  returned: readonly Returned[],
  now: number,
): Promise<Used> {
  const owners = new Set(waiting);
  const ownersToRead = [...(owners.size > 1 ? owners : []), ...returned.map(({ owner }) => owner)];
  const digits = new Map(ownersToRead.map((owner) => [owner, ctx.ids.hash(owner).slice(0, 1)]));
  if (digits.size === 0) return { owners: new Map(), changed: [] };
  const keys = new Map([...new Set(digits.values())].map((digit) => [digit, usedKey(type, digit)]));
  const stored = new Map((await ctx.table.getMany([...keys.values()])).map((item) => [item.pk, item]));
  const hours = new Map([...keys].map(([digit, { pk }]) => [digit, decayed(stored.get(pk), now)]));
  for (const { owner, shares, at } of returned) {
    const units = shares.reduce((sum, share) => sum + share.units, 0);
    const item = hours.get(digits.get(owner) ?? "");
    item?.set(owner, (item.get(owner) ?? 0) + (units * Math.max(0, now - at)) / HOUR_MS);
  }
  const ofDigit = (digit: string) => returned.filter(({ owner }) => digits.get(owner) === digit);
  return {
    owners: new Map([...hours.values()].flatMap((item) => [...item])),
    changed: [...keys]
      .filter(([digit]) => ofDigit(digit).length > 0)
      .map(([digit, key]) => {
        const whole = ofDigit(digit).filter(({ isInterrupted }) => !isInterrupted);
        const runs = whole.reduce(withRunAt(now), readDurations(stored.get(key.pk)?.runs));
        return { ...key, writers: [], kind: "used", at: now, owners: largest(hours.get(digit)), runs };
      }),
  };
}

/** Returns the durations of all owners' jobs in this pool, in one batch read. */
export async function readRuns(ctx: Context<"table">, type: string): Promise<Durations> {
  const items = await ctx.table.getMany([..."0123456789abcdef"].map((digit) => usedKey(type, digit)));
  return addDurations(items.map((item) => readDurations(item.runs)));
}

/**
 * Writes the use, after the ledger no longer has the holdings. Unconditional: use only breaks ties, so a lost or
 * repeated addition does no harm.
 */
export async function writeUsed(ctx: Context<"table">, { changed }: Used): Promise<void> {
  await Promise.all(changed.map((item) => ctx.table.put(item)));
}

/**
 * Returns the holdings that were returned between the two ledgers, without uncounted tries. An owner is not charged for
 * a machine on which nothing could start, and such a wait says nothing about durations. `known` are records by key.
 */
export function returnedBetween(
  before: Pick<Ledger, "held">,
  after: Pick<Ledger, "held">,
  knownEnvironments: ReadonlyMap<string, Environment>,
): Returned[] {
  return leftBetween(before.held, after.held)
    .filter((holding) => !wasOnlyTried(holding, knownEnvironments.get(holding.key)))
    .map((holding) => ({ ...holding, isInterrupted: wasInterrupted(holding, knownEnvironments.get(holding.key)) }));
}

function wasOnlyTried({ uid, run: n }: Holding, record: Environment | undefined): boolean {
  if (record?.uid !== uid) return false;
  return record.placement.withdrawn?.run === n || (record.run.n === n && record.run.withdrawing);
}

/** Reports whether its environment returned to the queue, so that this run says nothing about how long jobs take. */
function wasInterrupted({ uid, run: n }: Holding, record: Environment | undefined): boolean {
  if (record?.uid !== uid || record.policy.onInterruption === undefined) return false;
  return record.run.n > n || (record.phase === "stopping" && record.end.outcome === null);
}

function withRunAt(now: number) {
  return (runs: Durations, { owner, at, size }: Holding): Durations =>
    addRun(runs, { owner, tookMs: now - at, wantedMs: size.wantedMs });
}

function decayed(item: Item | undefined, now: number): Map<string, number> {
  const { at, owners } = (item ?? {}) as Partial<UsedItem>;
  if (typeof at !== "number" || typeof owners !== "object" || owners === null) return new Map();
  const factor = 0.5 ** (Math.max(0, now - at) / HALF_LIFE_MS);
  const hours = Object.entries(owners).map(([owner, used]) => [owner, Number(used) * factor] as const);
  return new Map(hours.filter(([, used]) => used >= LEAST_HOURS && Number.isFinite(used)));
}

function largest(hours: ReadonlyMap<string, number> = new Map()): UsedItem["owners"] {
  const sorted = [...hours].filter(([, used]) => used >= LEAST_HOURS).sort(([, a], [, b]) => b - a);
  return Object.fromEntries(sorted.slice(0, MOST_OWNERS));
}
