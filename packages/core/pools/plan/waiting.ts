import { type Environment, isWaiting, toKey } from "../../environments/record/record.ts";
import { readWaitOrder } from "../../environments/record/wait-order.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { keyText } from "../../store/keys.ts";
import { readByKey } from "../ledger/read-by-key.ts";
import type { Ledger, Pool } from "../ledger/record.ts";
import {
  type Candidate,
  isBehind,
  type Lines,
  readLines,
  readsOwner,
  type ScanWindow,
} from "../ledger/waiting-list.ts";

export interface WaitingList extends Lines {
  readonly unread: ReadonlySet<string>;
}

/** Reads the waiting jobs without capacity. The records that were read correct the index, which may lag. */
export async function readWaiting(
  ctx: PlannerContext,
  { pool, granted, held }: Pick<Ledger, "pool" | "granted" | "held">,
  named: readonly Environment[],
): Promise<WaitingList> {
  const occupied = new Set<string>();
  for (const { uid } of granted) occupied.add(uid);
  for (const { uid } of held) occupied.add(uid);
  const { candidates: proposed, ...rest } = await readLines(ctx, pool.type, pool.reach.last, occupied);
  const candidates = new Map(proposed.map((candidate) => [candidate.uid, candidate]));
  const isUnknown = ({ uid }: { uid: string }) => !candidates.has(uid) && !named.some((record) => record.uid === uid);
  // The first in line keeps its reserved start even if this plan does not read its owner.
  const { records, unreadable } = await readByKey(ctx, pool.head && isUnknown(pool.head) ? [pool.head.key] : []);
  for (const record of [...named, ...records]) {
    const { uid, waitOrder } = record;
    const isNear =
      uid === pool.head?.uid || !isBehind(rest.reach, waitOrder) || isNewcomer(pool, rest.reach, waitOrder);
    if (!isWaiting(record)) candidates.delete(uid);
    else if (record.size.pool === pool.type && isNear && !occupied.has(uid)) candidates.set(uid, toCandidate(record));
  }
  return { ...rest, candidates: [...candidates.values()], unread: unreadable };
}

export function toCandidate(record: Environment): Candidate {
  const { uid, owner, size, zone, queuedAt } = record;
  return { uid, owner, size, zone, queuedAt, key: keyText(toKey(record)) };
}

/**
 * Progress of plans through the waiting owners, if more owners wait than one plan reads. Absent while one plan reads
 * all of them, and while the pool is closed.
 */
export interface Round {
  /** The owner after which the round's first plan began, or null for the first owner. */
  readonly begin: string | null;
  /** When that plan was made, ms. */
  readonly begunAt: number;
  /** When the last complete round without a fitting job began, ms. null before such a round is complete. */
  readonly settledAt: number | null;
}

/** Returns the round after a plan. `isChanged`: a job may fit now that did not fit before. */
export function nextRound(
  before: Round | undefined,
  reach: ScanWindow,
  isChanged: boolean,
  now: number,
): Round | undefined {
  if (reach.last === null) return undefined;
  if (!before || isChanged) return { begin: reach.begin, begunAt: now, settledAt: null };
  if (!readsOwner(reach, before.begin ?? "")) return before;
  return { begin: reach.last, begunAt: now, settledAt: before.begunAt };
}

/**
 * Reports whether a job arrived after the last complete round began and this plan does not read its owner. No plan of
 * that round saw the job, and the next round takes minutes.
 */
export function isNewcomer({ round }: Pick<Pool, "round">, reach: ScanWindow, waitOrder: string | undefined): boolean {
  const standing = readWaitOrder(waitOrder);
  if (!standing || readsOwner(reach, standing.owner)) return false;
  return standing.queuedAt > (round?.settledAt ?? Infinity);
}
