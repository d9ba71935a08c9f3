import type { Context, Item, QueueName } from "./context.ts";
import { deliveryShards, dueShards } from "./due.ts";
import { keyOf } from "./environments/record.ts";
import { sendLook } from "./look.ts";

/** More than this many undelivered messages: what is due stays due, and the queue is left to empty itself. */
const DEEPEST_QUEUE = 5_000;
/** Schedules are late and skip: each run reaches over the next two. */
const RUNS_AHEAD = 3;
const AT_ONCE = 25;
/** Of each shard in one run, the longest overdue first: what is left stays due. */
const MOST_PER_SHARD = 400;

/**
 * Sends a look for everything that is due before the next few sweeps, delayed to its second. Writes nothing and costs
 * what is due, not what exists: 16 queries (design section 2). Answers how many looks it sent.
 */
export function sweep(ctx: Context<"table" | "queue">): Promise<number> {
  return sweepInto(ctx, "work", dueShards);
}

/** The same for deliveries, apart: webhooks that pile up keep nothing else from its look. 4 queries. */
export function sweepDeliveries(ctx: Context<"table" | "queue">): Promise<number> {
  return sweepInto(ctx, "webhooks", deliveryShards);
}

async function sweepInto(
  ctx: Context<"table" | "queue">,
  queue: QueueName,
  shards: readonly string[],
): Promise<number> {
  const waiting = await ctx.queue.depth(queue);
  if (waiting > DEEPEST_QUEUE) {
    ctx.log.warn("sweep skipped", { queue, waiting });
    return 0;
  }
  const now = ctx.clock.now();
  const to = now + RUNS_AHEAD * ctx.settings.sweepSeconds * 1000;
  const found = (await Promise.all(shards.map((shard) => dueIn(ctx, shard, to)))).flat();
  for (let at = 0; at < found.length; at += AT_ONCE) {
    const batch = found.slice(at, at + AT_ONCE);
    await Promise.all(batch.map((item) => sendLook(ctx, keyOf(item), { delayMs: Number(item.dueAt) - now })));
  }
  ctx.log.info("sweep", { queue, due: found.length, waiting });
  return found.length;
}

/** One query for each shard; with more due than that the next sweep goes on. */
async function dueIn(ctx: Context<"table">, partition: string, to: number): Promise<Item[]> {
  const page = await ctx.table.query({ index: "due", partition, to, limit: MOST_PER_SHARD });
  return page.items;
}
