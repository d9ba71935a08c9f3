import type { Item } from "../context.ts";
import { type Environment, isSize, isWaiting, keyOf, type Size } from "../environments/record.ts";
import { keyText } from "../keys.ts";
import type { PlannerContext } from "../worker.ts";
import type { Waiting } from "./plan.ts";
import type { Pool } from "./record.ts";

/** Somebody who is proposed for a grant. */
export interface Candidate extends Waiting {
  /** Of its record, as a message carries it. */
  readonly key: string;
  readonly size: Size;
}

export interface WaitingList {
  readonly candidates: readonly Candidate[];
  /** Where the order was cut off; null when everybody who waits is here. */
  readonly horizon: string | null;
}

/** Further back nobody is planned for (design section 3). */
const PLANNED_FOR = 2000;

/**
 * Who waits for this pool: what the index proposes, which may be late both ways, corrected by the records that were
 * read, without those who have capacity already.
 */
export async function readWaiting(
  ctx: PlannerContext,
  pool: Pool,
  named: readonly Environment[],
): Promise<WaitingList> {
  const page = await ctx.table.query({ index: "waiting", partition: pool.type, limit: PLANNED_FOR });
  const candidates = new Map<string, Candidate>();
  for (const item of page.items) {
    const candidate = candidateOf(item);
    if (candidate) candidates.set(candidate.uid, candidate);
  }
  const last = page.next === undefined ? undefined : page.items.at(-1)?.waitOrder;
  const horizon = typeof last === "string" ? last : null;
  for (const record of named) {
    if (!isWaiting(record)) candidates.delete(record.uid);
    const near = horizon === null || (record.waitOrder ?? "") <= horizon;
    if (isWaiting(record) && record.size.pool === pool.type && near) {
      const { uid, owner, size, zone, queuedAt } = record;
      candidates.set(uid, { uid, owner, size, zone, queuedAt, key: keyText(keyOf(record)) });
    }
  }
  for (const entry of [...pool.granted, ...pool.held]) candidates.delete(entry.uid);
  return { candidates: [...candidates.values()], horizon };
}

function candidateOf(item: Item): Candidate | undefined {
  const { uid, owner, size, zone, waitOrder } = item;
  if (typeof uid !== "string" || typeof owner !== "string" || typeof waitOrder !== "string") return undefined;
  const queuedAt = queuedAtOf(waitOrder);
  if (!isSize(size) || !Number.isFinite(queuedAt)) return undefined;
  const key = keyText(keyOf(item));
  return { uid, owner, size, zone: typeof zone === "string" ? zone : null, queuedAt, key };
}

/** The first part of the order of waiting (environments/record.ts), which every index entry has. */
function queuedAtOf(waitOrder: string): number {
  return Number(waitOrder.slice(0, waitOrder.indexOf("#")));
}
