import type { Context } from "../context.ts";
import { keyOf } from "../environments/record/record.ts";
import { isClusterSilent } from "../environments/record/run/unseen.ts";
import type { Item } from "../ports/table.ts";
import { dueShards } from "../store/due.ts";
import { kindOfKey } from "../store/keys.ts";
import { sendLook } from "./look.ts";

/** The longest wait after a step that failed (reconcile.ts). */
const REACH_MS = 300_000;
/** So many records of a shard are read. */
const MOST_PER_SHARD = 200;
/** The most hints of one outage's end. Later looks pass it on again, and each record is due in five minutes at most. */
const MOST_HINTS = 200;
/** Interval between hints, so that a cluster that is just back is not asked for everything at once. */
const PACE_MS = 100;
/** Number of hints that are sent in parallel. */
const SENT_AT_ONCE = 20;

/** Sends a hint to environments whose last look the cluster did not answer: the cluster answers again. */
export async function hintAfterOutage(ctx: Context<"table" | "queue">): Promise<void> {
  const found = await Promise.all(dueShards.map((shard) => listUnanswered(ctx, shard)));
  const waiting = found.flat();
  const hinted = waiting.toSorted((one, other) => Number(one.createdAt) - Number(other.createdAt)).slice(0, MOST_HINTS);
  const send = (item: Item, place: number) => sendLook(ctx, keyOf(item), { isHint: true, delayMs: place * PACE_MS });
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
  const keys = items.filter((item) => kindOfKey(item) === "environment").map(keyOf);
  return keys.length === 0 ? [] : (await ctx.table.getMany(keys)).filter(isClusterSilent);
}
