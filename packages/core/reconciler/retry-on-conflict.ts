import type { Context } from "../context.ts";
import type { Item, Key } from "../ports/table.ts";
import { type ReconcileOptions, requestReconcile } from "./request-reconcile.ts";

/** The result of reading a record and acting on it. `again`: another writer was faster, so nothing was decided. */
export type Reading = "over" | "again";

const MOST_READINGS = 3;
/** A message up to this early is resent, because clocks of hosts differ. An earlier one belongs to an older chain. */
export const EARLY_MS = 2000;

/**
 * Handles one message (docs/architecture/reconciliation.md). It reads the record up to three times, and sends the
 * message again if each try conflicted with another writer. The last try may return `again` only for that reason.
 */
export async function retryOnConflict(
  ctx: Context<"queue">,
  key: Key,
  message: ReconcileOptions,
  read: (isLast: boolean) => Promise<Reading>,
): Promise<void> {
  for (let left = MOST_READINGS; left > 0; left--) {
    if ((await read(left === 1)) === "over") return;
  }
  await requestReconcile(ctx, key, { ...message, delayMs: 1000 });
}

/** Returns the time until a record is due, ms, at most 0 if it is. Infinity without `dueAt`. */
export function earlyBy({ dueAt }: Pick<Item, string>, now: number): number {
  return (typeof dueAt === "number" ? dueAt : Number.POSITIVE_INFINITY) - now;
}

/** Ends a reconcile of a record that is not due. Sends the message again if it was only slightly early. */
export async function requeueEarly(ctx: Context<"queue">, key: Key, early: number): Promise<Reading> {
  if (early <= EARLY_MS) await requestReconcile(ctx, key, { delayMs: 1000 });
  return "over";
}
