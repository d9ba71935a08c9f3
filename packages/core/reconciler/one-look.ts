import type { Context } from "../context.ts";
import type { Item, Key } from "../ports/table.ts";
import { type LookOptions, sendLook } from "./look.ts";

/** What a reading of a record came to: `again` where somebody else wrote meanwhile, so that it decided nothing. */
export type Reading = "over" | "again";

const MOST_READINGS = 3;
/**
 * A message that is at most this early comes back, since hosts' clocks differ; one that is earlier is of another chain.
 */
export const EARLY_MS = 2000;

/**
 * What one message asks for (docs/architecture/reconciliation.md): up to three readings of the record, the last of
 * which must not be `again` for its own sake. Where each met another writer the message is sent again.
 */
export async function lookUntilOver(
  ctx: Context<"queue">,
  key: Key,
  message: LookOptions,
  read: (isLast: boolean) => Promise<Reading>,
): Promise<void> {
  for (let left = MOST_READINGS; left > 0; left--) {
    if ((await read(left === 1)) === "over") return;
  }
  await sendLook(ctx, key, { ...message, delayMs: 1000 });
}

/** How long it is until a record is due, ms; at most 0 where it is. What is never due is so for ever. */
export function earlyBy({ dueAt }: Pick<Item, string>, now: number): number {
  return (typeof dueAt === "number" ? dueAt : Number.POSITIVE_INFINITY) - now;
}

/** Ends a look at what is not due, and has the message come back where it was only a little early. */
export async function endEarly(ctx: Context<"queue">, key: Key, early: number): Promise<Reading> {
  if (early <= EARLY_MS) await sendLook(ctx, key, { delayMs: 1000 });
  return "over";
}
