import type { Context } from "../context.ts";
import { toKey } from "../environments/record/record.ts";
import { isClusterSilent } from "../environments/record/run/unseen.ts";
import type { Item } from "../ports/table.ts";
import { dueShards } from "../store/due.ts";
import { kindOfKey } from "../store/keys.ts";
import { requestReconcile } from "./request-reconcile.ts";

/** The longest wait after a failed step (reconcile.ts). */
const REACH_MS = 300_000;
const MOST_PER_SHARD = 200;
/** The most hints at the end of an outage. Later reconciles send more, and each record is due in five minutes. */
const MOST_HINTS = 200;
/** Interval between hints, so that a recovering cluster does not receive all requests at once. */
const PACE_MS = 100;
const SENT_AT_ONCE = 20;

/** Sends hints to environments whose last reconcile failed because the cluster did not answer. */
export async function hintAfterOutage(ctx: Context<"table" | "queue">): Promise<void> {
  const found = await Promise.all(dueShards.map((shard) => listUnanswered(ctx, shard)));
  const waiting = found.flat();
  const hinted = waiting
    .toSorted((left, right) => Number(left.createdAt) - Number(right.createdAt))
    .slice(0, MOST_HINTS);
  const send = (item: Item, place: number) =>
    requestReconcile(ctx, toKey(item), { isHint: true, delayMs: place * PACE_MS });
  for (let first = 0; first < hinted.length; first += SENT_AT_ONCE) {
    const some = hinted.slice(first, first + SENT_AT_ONCE);
    await Promise.all(some.map((item, at) => send(item, first + at)));
  }
  ctx.log.info("cluster answers again", { waiting: waiting.length, hints: hinted.length });
}

async function listUnanswered(ctx: Context<"table">, shard: string): Promise<Item[]> {
  const now = ctx.clock.now();
  const range = { from: now, to: now + REACH_MS, limit: MOST_PER_SHARD };
  const { items } = await ctx.table.query({ index: "due", partition: shard, ...range });
  const keys = items.filter((item) => kindOfKey(item) === "environment").map(toKey);
  return keys.length === 0 ? [] : (await ctx.table.getMany(keys)).filter(isClusterSilent);
}
