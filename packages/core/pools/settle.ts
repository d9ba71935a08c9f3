import { type Environment, holdsCapacity, isWaiting, keyOf } from "../environments/record.ts";
import { keyText } from "../keys.ts";
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
    return !holdsCapacity(record, held.run) || record.phase !== held.phase || record.endsAt !== held.endsAt;
  }
  return isWaiting(record) !== knowsOf(pool, record);
}

/** How often everything that is held is compared with its record. */
const REFRESH_MS = 50_000;
const SET_ASIDE_MS = 300_000;

/**
 * The ledger after a look at the records: grants that were taken are held, those that can no longer be taken and
 * holdings that were returned are dropped. No grant ends by time, only by its record (design section 3).
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
  for (const record of await readNamed(ctx, missing)) known.set(keyText(keyOf(record)), record);

  const read = new Set([...known.keys(), ...missing]);
  const granted = pool.granted.filter((grant) => mayStillTake(grant, known.get(grant.key)));
  const taken = pool.granted.flatMap((grant) => holding(grant, known.get(grant.key)));
  const kept = pool.held.flatMap((old) => (read.has(old.key) ? holding(old, known.get(old.key)) : [old]));
  const setAside = [
    ...pool.setAside.filter((node) => node.until > now),
    ...pool.held.flatMap((old) => withdrawnNodes(old, known.get(old.key))),
  ];
  const refreshedAt = refresh ? now : pool.refreshedAt;
  const left = pool.granted.filter((grant) => !granted.includes(grant));
  const took = thoseThatTook(left, known);
  const over = [...took.filter(({ grant, outcome }) => !grant && outcome), ...thoseThatReturned(pool.held, known)];
  const tally = took.length + over.length > 0 ? tallied(pool.tally ?? emptyTally, took, over) : pool.tally;
  return { ...pool, granted, held: [...kept, ...taken], setAside, refreshedAt, tally };
}

/** The record still waits with this very run: it may take the grant at any moment. */
function mayStillTake(grant: Grant, record: Environment | undefined): boolean {
  return record?.uid === grant.uid && record.run === grant.run && isWaiting(record);
}

function holding(entry: Grant, record: Environment | undefined): Holding[] {
  if (!record || record.uid !== entry.uid || !holdsCapacity(record, entry.run)) return [];
  const { key, uid, run, owner, at } = entry;
  const phase = record.phase === "preparing" || record.phase === "active" ? record.phase : "stopping";
  const shares = record.grant?.shares ?? entry.shares;
  return [{ key, uid, run, owner, size: record.size, shares, at, phase, endsAt: record.endsAt }];
}

function withdrawnNodes(old: Holding, record: Environment | undefined): { node: string; until: number }[] {
  if (record?.uid !== old.uid || record.withdrawn?.run !== old.run) return [];
  const until = record.withdrawn.at + SET_ASIDE_MS;
  return record.withdrawn.nodes.map((node) => ({ node, until }));
}
