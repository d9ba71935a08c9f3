import { readWaitOrder } from "../../environments/record/wait-order.ts";
import type { Pool } from "../ledger/record.ts";
import { readsOwner, type ScanWindow } from "../ledger/waiting-list.ts";

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
