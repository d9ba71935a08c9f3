import { type Environment, holdsCapacity, isWaiting, keyOf } from "../environments/record.ts";
import { withinReach } from "../hidden.ts";
import { keyText } from "../keys.ts";
import { sendLook } from "../look.ts";
import type { PlannerContext } from "../worker.ts";
import { readNamed } from "./named.ts";
import { type Grant, type Holding, knowsOf, type Pool } from "./record.ts";
import { emptyTally, tallied, thoseThatReturned, thoseThatTook } from "./tally.ts";

/** Whether what this record says is news to the ledger (design section 3, admission). */
export function concerns(pool: Pool, record: Environment): boolean {
  const granted = pool.granted.find((grant) => grant.uid === record.uid);
  if (granted) return !mayStillTake(granted, record);
  const held = pool.held.find((holding) => holding.uid === record.uid);
  if (held) {
    return !holdsCapacity(record, held.run) || record.phase !== held.phase || record.times.endsAt !== held.endsAt;
  }
  return isWaiting(record) !== knowsOf(pool, record);
}

/** How often everything that is held is compared with its record. */
const REFRESH_MS = 50_000;
const SET_ASIDE_MS = 300_000;
/** Units that unreadable records hold for longer than this are an alarm. */
const LONGEST_UNREADABLE_MS = 600_000;

/**
 * The ledger after a look at the records: grants that were taken are held, those that can no longer be taken and
 * holdings that were returned are dropped. No grant ends by time, only by its record (design section 3), and a record
 * that cannot be read frees nothing: only one that is absent, of another life or at another run does.
 */
export async function settle(
  ctx: PlannerContext,
  pool: Pool,
  named: readonly Environment[],
  now: number,
): Promise<Pool> {
  const refresh = now - pool.refreshedAt >= REFRESH_MS;
  const known = new Map(named.map((record) => [keyText(keyOf(record)), record]));
  const asked = [...pool.granted, ...(refresh ? pool.held : [])].map((entry) => entry.key);
  const missing = asked.filter((key) => !known.has(key));
  const { records, unreadable } = await readNamed(ctx, missing);
  for (const record of records) known.set(keyText(keyOf(record)), record);

  const read = new Set([...known.keys(), ...missing]);
  const granted = pool.granted.flatMap((grant) => {
    if (unreadable.has(grant.key)) return [unreadableSince(grant, now)];
    return mayStillTake(grant, known.get(grant.key)) ? [readAgain(grant)] : [];
  });
  const taken = pool.granted.flatMap((grant) => holding(grant, known.get(grant.key)));
  const kept = pool.held.flatMap((old) => {
    if (unreadable.has(old.key)) return [unreadableSince(old, now)];
    return read.has(old.key) ? holding(old, known.get(old.key)) : [old];
  });
  const setAside = [
    ...pool.setAside.filter((node) => node.until > now),
    ...pool.held.flatMap((old) => withdrawnNodes(old, known.get(old.key))),
  ];
  const refreshedAt = refresh ? now : pool.refreshedAt;
  const still = new Set(granted.map(({ uid }) => uid));
  const left = pool.granted.filter(({ uid }) => !still.has(uid));
  const took = thoseThatTook(left, known);
  const over = [
    ...took.filter(({ run: { grant }, end: { outcome } }) => !grant && outcome),
    ...thoseThatReturned(pool.held, known),
  ];
  const tally = took.length + over.length > 0 ? tallied(pool.tally ?? emptyTally, took, over) : pool.tally;
  const silent = new Set(pool.held.flatMap((old) => silentNodes(old, known.get(old.key))));
  const nodes = pool.nodes.map((node) => (silent.has(node.uid) ? { ...node, ready: false } : node));
  const settled = { ...pool, nodes, granted, held: [...kept, ...taken], setAside, refreshedAt, tally };
  raiseAlarm(ctx, settled, now);
  await lookWhereNoSweepDoes(ctx, settled, known, now);
  return settled;
}

/** Who holds capacity is compared with its record in any case: nobody else may meet one that a hand put out of reach. */
async function lookWhereNoSweepDoes(
  ctx: PlannerContext,
  { granted, held }: Pool,
  known: ReadonlyMap<string, Environment>,
  now: number,
): Promise<void> {
  const records = [...granted, ...held].flatMap(({ key }) => known.get(key) ?? []);
  const hidden = records.filter((record) => withinReach(ctx, record, now) !== record);
  await Promise.all(hidden.map((record) => sendLook(ctx, keyOf(record))));
}

/** Units that records hold which cannot be read. */
export function unreadableUnits({ granted, held }: Pick<Pool, "granted" | "held">): number {
  const unreadable = [...granted, ...held].filter((entry) => entry.unreadableSince !== undefined);
  return unreadable.flatMap(({ shares }) => shares).reduce((sum, { units }) => sum + units, 0);
}

function raiseAlarm(ctx: PlannerContext, pool: Pool, now: number): void {
  const long = [...pool.granted, ...pool.held].filter(
    ({ unreadableSince = now }) => now - unreadableSince > LONGEST_UNREADABLE_MS,
  );
  if (long.length === 0) return;
  const looks = long.slice(0, MOST_LOGGED).map(({ key }) => key);
  ctx.log.error("capacity not readable", { pool: pool.type, units: unreadableUnits(pool), looks });
}

const MOST_LOGGED = 10;

function unreadableSince<Entry extends Grant>(entry: Entry, now: number): Entry {
  return { ...entry, unreadableSince: entry.unreadableSince ?? now };
}

function readAgain(grant: Grant): Grant {
  return grant.unreadableSince === undefined ? grant : { ...grant, unreadableSince: undefined };
}

/** The record still waits with this very run: it may take the grant at any moment. */
function mayStillTake(grant: Grant, record: Environment | undefined): boolean {
  return record?.uid === grant.uid && record.run.n === grant.run && isWaiting(record);
}

function holding(entry: Grant, record: Environment | undefined): Holding[] {
  if (!record || record.uid !== entry.uid || !holdsCapacity(record, entry.run)) return [];
  const { key, uid, run, owner, at } = entry;
  const phase = record.phase === "preparing" || record.phase === "active" ? record.phase : "stopping";
  const shares = record.run.grant?.shares ?? entry.shares;
  return [{ key, uid, run, owner, size: record.size, shares, at, phase, endsAt: record.times.endsAt }];
}

/** Nodes, by uid, that were given back while they did not answer: gone and not free, until a listing says otherwise. */
function silentNodes(old: Holding, record: Environment | undefined): string[] {
  if (record?.uid !== old.uid || holdsCapacity(record, old.run)) return [];
  return record.run.machines.flatMap(({ uid, silent }) => (silent ? [uid] : []));
}

function withdrawnNodes(old: Holding, record: Environment | undefined): { node: string; until: number }[] {
  if (record?.uid !== old.uid || record.placement.withdrawn?.run !== old.run) return [];
  const until = record.placement.withdrawn.at + SET_ASIDE_MS;
  return record.placement.withdrawn.nodes.map((node) => ({ node, until }));
}
