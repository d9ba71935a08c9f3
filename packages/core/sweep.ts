import type { Context, Item, QueueName } from "./context.ts";
import { deliveryShards, dueShards } from "./due.ts";
import { keyOf } from "./environments/record.ts";
import { sweepKey } from "./keys.ts";
import { SWEEP_REACH_MS, sendLook } from "./look.ts";
import { writeRecord } from "./write-record.ts";

/** What is overdue by more than this lost its message, or its look failed; half a period where sweeps are closer. */
const OVERDUE_MS = 30_000;
/** More visible messages than this: workers are behind, and more messages would not help them. */
const DEEPEST_QUEUE = 5_000;
const OVERDUE_WHEN_DEEP_MS = 180_000;
const MOST_WHEN_DEEP = 1_000;
/** Of one shard in one run, of what is overdue and of what falls due. What is left is found as overdue. */
const MOST_PER_SHARD = 2_000;
/** The clocks of hosts differ by less. */
const CLOCKS_APART_MS = 60_000;
const AT_ONCE = 25;

/**
 * Sends a look for everything that falls due within the next minutes, delayed to its second and once for each moment,
 * and for everything overdue (design section 2). It costs what is due, not what exists: 32 queries. Answers how many
 * looks it sent. Throws when a query failed, after the looks that the others found were sent.
 */
export function sweep(ctx: Context<"table" | "queue">, deepest: number = DEEPEST_QUEUE): Promise<number> {
  return sweepInto(ctx, "work", dueShards, deepest);
}

/** The same for deliveries, apart: webhooks that pile up keep nothing else from its look. 8 queries. */
export function sweepDeliveries(ctx: Context<"table" | "queue">): Promise<number> {
  return sweepInto(ctx, "webhooks", deliveryShards, DEEPEST_QUEUE);
}

async function sweepInto(
  ctx: Context<"table" | "queue">,
  queue: QueueName,
  shards: readonly string[],
  deepest: number,
): Promise<number> {
  const { visible, delayed } = await ctx.queue.depth(queue);
  const isDeep = visible > deepest;
  const sent = isDeep ? await sendOldest(ctx, shards) : await sendOnce(ctx, queue, shards);
  ctx.log[isDeep ? "warn" : "info"]("sweep", { queue, sent, visible, delayed });
  return sent;
}

/** Moves the cursor after the sends, so that the next sweep repeats one that died half way. */
async function sendOnce(ctx: Context<"table" | "queue">, queue: QueueName, shards: readonly string[]): Promise<number> {
  const now = ctx.clock.now();
  const cursor = await ctx.table.get(sweepKey(queue));
  const overdueMs = Math.min(OVERDUE_MS, (ctx.settings.sweepSeconds * 1000) / 2);
  const overdue = { to: now - overdueMs, most: MOST_PER_SHARD };
  const upTo = now + SWEEP_REACH_MS;
  const after = Math.max(sentUpTo(cursor, now), overdue.to);
  const isBehind = after < upTo;
  const ahead = { from: after + 1, to: upTo, most: MOST_PER_SHARD };
  const sent = await sendDue(ctx, shards, isBehind ? [overdue, ahead] : [overdue]);
  const moved = { ...sweepKey(queue), writers: cursor ? cursor.writers : [], kind: "sweep", sentUpTo: upTo };
  // Another sweep that was faster has sent what it noted.
  if (isBehind) await writeRecord(ctx, moved);
  return sent;
}

/** No cursor, or one noted by a clock that was wrong, says nothing: then some moments are sent twice. */
function sentUpTo(cursor: Item | undefined, now: number): number {
  const at = cursor?.sentUpTo;
  return typeof at === "number" && at <= now + SWEEP_REACH_MS + CLOCKS_APART_MS ? at : Number.NEGATIVE_INFINITY;
}

/** While workers are behind: only what is long overdue, and no more than they can do meanwhile. */
function sendOldest(ctx: Context<"table" | "queue">, shards: readonly string[]): Promise<number> {
  const to = ctx.clock.now() - OVERDUE_WHEN_DEEP_MS;
  return sendDue(ctx, shards, [{ to, most: Math.floor(MOST_WHEN_DEEP / shards.length) }]);
}

interface DueRange {
  readonly from?: number;
  readonly to: number;
  /** Of each shard. */
  readonly most: number;
}

/** The oldest first. One shard that does not answer keeps the others from nothing. */
async function sendDue(
  ctx: Context<"table" | "queue">,
  shards: readonly string[],
  ranges: readonly DueRange[],
): Promise<number> {
  const asked = ranges.flatMap((range) => shards.map((shard) => dueIn(ctx, shard, range)));
  const answers = await Promise.allSettled(asked);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  found.sort((a, b) => Number(a.dueAt) - Number(b.dueAt));
  for (let at = 0; at < found.length; at += AT_ONCE) {
    const now = ctx.clock.now();
    const batch = found.slice(at, at + AT_ONCE);
    await Promise.all(batch.map((item) => sendLook(ctx, keyOf(item), { delayMs: Number(item.dueAt) - now })));
  }
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed) throw failed.reason;
  return found.length;
}

async function dueIn(ctx: Context<"table">, partition: string, { most, ...range }: DueRange): Promise<Item[]> {
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const query = { index: "due", partition, ...range, limit: most - found.length } as const;
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...page.items);
    after = page.next;
  } while (after !== undefined && found.length < most);
  return found;
}
