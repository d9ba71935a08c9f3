import { type Environment, isWaiting, toKey } from "../../environments/record/record.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { keyText } from "../../store/keys.ts";
import { getImageMark } from "../ledger/machine-images.ts";
import { readByKey } from "../ledger/read-by-key.ts";
import type { Ledger } from "../ledger/record.ts";
import { type Candidate, isBehind, isNewcomer, type Lines, readLines } from "../ledger/waiting-list.ts";

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
    else if (record.size.pool === pool.type && isNear && !occupied.has(uid))
      candidates.set(uid, { ...toCandidate(record), image: getImageMark(ctx, record) });
  }
  return { ...rest, candidates: [...candidates.values()], unread: unreadable };
}

export function toCandidate(record: Environment): Candidate {
  const { uid, owner, size, zone, queuedAt } = record;
  return { uid, owner, size, zone, queuedAt, key: keyText(toKey(record)) };
}
