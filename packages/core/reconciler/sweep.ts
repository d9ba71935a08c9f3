import type { Context } from "../context.ts";
import { toKey } from "../environments/record/record.ts";
import type { QueueName } from "../ports/queue.ts";
import type { Item } from "../ports/table.ts";
import { deliveryShards, diskShards, dueShards } from "../store/due.ts";
import { type SweepName, sweepKey } from "../store/keys.ts";
import { mapping, number, shape, text } from "../store/shape.ts";
import { writeRecord } from "../store/write-record.ts";
import { sweepFarFuture } from "./clamp-due.ts";
import { requestReconcile, SWEEP_REACH_MS } from "./request-reconcile.ts";

/** A record overdue by more than this has lost its message, or its reconcile failed. At most half a sweep period. */
const OVERDUE_MS = 30_000;
/** With more visible messages than this, workers are behind, and more messages would not help. */
const DEEPEST_QUEUE = 5_000;
const OVERDUE_WHEN_DEEP_MS = 180_000;
/** The most overdue and the most upcoming records of a shard per run. Later runs find the rest as overdue. */
const MOST_PER_SHARD = 2_000;
/** The clocks of hosts differ by less than this. */
const CLOCKS_APART_MS = 60_000;
const AT_ONCE = 25;

interface Sweep {
  readonly name: SweepName;
  readonly queue: QueueName;
  readonly shards: readonly string[];
  /** The most messages of one run while the queue is deep. */
  readonly mostWhenDeep: number;
}

const environments: Sweep = { name: "environments", queue: "work", shards: dueShards, mostWhenDeep: 1_000 };
const disks: Sweep = { name: "disks", queue: "work", shards: diskShards, mostWhenDeep: 250 };
const deliveries: Sweep = { name: "webhooks", queue: "webhooks", shards: deliveryShards, mostWhenDeep: 1_000 };

/**
 * Requests a reconcile for each environment, user and pool that is overdue or falls due within the next minutes,
 * delayed to its second and once per time (docs/architecture/reconciliation.md). Returns the number of messages. Makes
 * 32 queries. If one fails, sends the results of the others and then throws.
 */
export function sweep(ctx: Context<"table" | "queue">, deepest: number = DEEPEST_QUEUE): Promise<number> {
  return runSweep(ctx, environments, deepest);
}

/** Does the same for disks: steps of disks, and the purge of a deleted disk after its retention. 8 queries. */
export function sweepDisks(ctx: Context<"table" | "queue">, deepest: number = DEEPEST_QUEUE): Promise<number> {
  return runSweep(ctx, disks, deepest);
}

/** Does the same for deliveries of webhooks, into their own queue. 8 queries. */
export function sweepDeliveries(ctx: Context<"table" | "queue">): Promise<number> {
  return runSweep(ctx, deliveries, DEEPEST_QUEUE);
}

async function runSweep(ctx: Context<"table" | "queue">, sweep: Sweep, deepest: number): Promise<number> {
  const { visible, delayed } = await ctx.queue.depth(sweep.queue);
  const isDeep = visible > deepest;
  const sent = isDeep ? await sendOldest(ctx, sweep) : await sendOnce(ctx, sweep);
  await sweepFarFuture(ctx, sweep.shards);
  ctx.log[isDeep ? "warn" : "info"]("sweep", { queue: sweep.queue, of: sweep.name, sent, visible, delayed });
  return sent;
}

/** Moves the cursor after the sends, so that the next sweep repeats one that died half way. */
async function sendOnce(ctx: Context<"table" | "queue">, { name, shards }: Sweep): Promise<number> {
  const now = ctx.clock.now();
  const cursor = await ctx.table.get(sweepKey(name));
  const overdueMs = Math.min(OVERDUE_MS, (ctx.settings.sweepSeconds * 1000) / 2);
  const overdue = { to: now - overdueMs, most: MOST_PER_SHARD, places: getPlaces(cursor, now - overdueMs) };
  const upTo = now + SWEEP_REACH_MS;
  const after = Math.max(sentUpTo(cursor, now), overdue.to);
  const isBehind = after < upTo;
  const ahead = { from: after + 1, to: upTo, most: MOST_PER_SHARD };
  const { sent, places } = await sendDue(ctx, shards, isBehind ? [overdue, ahead] : [overdue]);
  // On a conflict, a faster sweep has sent the same records.
  if (isBehind) await note(ctx, name, cursor, { sentUpTo: upTo, places });
  return sent;
}

async function note(
  ctx: Context<"table">,
  name: SweepName,
  cursor: Item | undefined,
  noted: { readonly sentUpTo?: number; readonly places: SweepPositions },
): Promise<void> {
  const before = { ...cursor, ...sweepKey(name), writers: cursor?.writers ?? [], kind: "sweep" };
  await writeRecord(ctx, { ...before, ...noted });
}

/** Returns -Infinity without a valid cursor, so some messages are sent twice. */
function sentUpTo(cursor: Item | undefined, now: number): number {
  const at = cursor?.sentUpTo;
  return typeof at === "number" && at <= now + SWEEP_REACH_MS + CLOCKS_APART_MS ? at : Number.NEGATIVE_INFINITY;
}

/** Sends only long overdue records, and no more than workers can handle, while the queue is deep. */
async function sendOldest(ctx: Context<"table" | "queue">, { name, shards, mostWhenDeep }: Sweep): Promise<number> {
  const to = ctx.clock.now() - OVERDUE_WHEN_DEEP_MS;
  const cursor = await ctx.table.get(sweepKey(name));
  const overdue = { to, most: Math.floor(mostWhenDeep / shards.length), places: getPlaces(cursor, to) };
  const { sent, places } = await sendDue(ctx, shards, [overdue]);
  await note(ctx, name, cursor, { places });
  return sent;
}

/**
 * The last position in each shard with more records than one sweep sends. The next sweep continues there, and after the
 * end of the shard starts over. Records that stay due, for example of a newer format, thus block no others.
 */
type SweepPositions = Readonly<Record<string, SweepPosition>>;

interface SweepPosition {
  readonly after: string;
  /** The due time of the last record that was sent. */
  readonly at: number;
}

const isPlaces = mapping(shape<SweepPosition>({ after: text, at: number }));

/** Returns the positions within the requested range. The table rejects others. */
function getPlaces(cursor: Item | undefined, to: number): SweepPositions {
  const noted = isPlaces(cursor?.places) ? cursor.places : {};
  return Object.fromEntries(Object.entries(noted).filter(([, { at }]) => at <= to));
}

interface DueRange {
  readonly from?: number;
  readonly to: number;
  /** The most records per shard. */
  readonly most: number;
  /** The start positions. If absent, records beyond `most` are left out. */
  readonly places?: SweepPositions;
}

/**
 * Sends the oldest records first, and returns the end positions. A failed query of one shard does not affect the
 * others.
 */
async function sendDue(
  ctx: Context<"table" | "queue">,
  shards: readonly string[],
  ranges: readonly DueRange[],
): Promise<{ readonly sent: number; readonly places: SweepPositions }> {
  const queries = ranges.flatMap((range) => shards.map((shard) => dueIn(ctx, shard, range)));
  const answers = await Promise.allSettled(queries);
  const parts = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const found = parts.flatMap(({ items }) => items);
  found.sort((a, b) => Number(a.dueAt) - Number(b.dueAt));
  for (let at = 0; at < found.length; at += AT_ONCE) {
    const now = ctx.clock.now();
    const batch = found.slice(at, at + AT_ONCE);
    await Promise.all(batch.map((item) => requestReconcile(ctx, toKey(item), { delayMs: Number(item.dueAt) - now })));
  }
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed) throw failed.reason;
  const places = parts.flatMap(({ shard, place }) => (place ? [[shard, place] as const] : []));
  return { sent: found.length, places: Object.fromEntries(places) };
}

interface DuePart {
  readonly shard: string;
  readonly items: readonly Item[];
  /** The start position of the next sweep, or undefined at the end of the shard. */
  readonly place: SweepPosition | undefined;
}

async function dueIn(ctx: Context<"table">, shard: string, range: DueRange): Promise<DuePart> {
  const after = range.places?.[shard]?.after;
  // The table rejects a position that was edited by hand.
  const part = after === undefined ? undefined : await dueAfter(ctx, shard, range, after).catch(() => undefined);
  return part && part.items.length > 0 ? part : dueAfter(ctx, shard, range, undefined);
}

async function dueAfter(
  ctx: Context<"table">,
  shard: string,
  { most, places, ...range }: DueRange,
  begin: string | undefined,
): Promise<DuePart> {
  const items: Item[] = [];
  let after = begin;
  do {
    const query = { index: "due", partition: shard, ...range, limit: most - items.length } as const;
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined && items.length < most);
  const at = Number(items.at(-1)?.dueAt);
  return { shard, items, place: places && after !== undefined ? { after, at } : undefined };
}
