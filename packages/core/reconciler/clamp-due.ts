import type { Context } from "../context.ts";
import { toKey } from "../environments/record/record.ts";
import type { Item, Key } from "../ports/table.ts";
import { diskShards, dueShards, getDueShard, isFormerShard } from "../store/due.ts";
import { keyText, kindOfKey } from "../store/keys.ts";
import { DAY_MS, MINUTE_MS } from "../units.ts";
import { requestReconcile } from "./request-reconcile.ts";

/** The minute of each hour in which a sweep searches for records due too far ahead. */
const HIDDEN_MINUTE = 30;
/** Only disks are due that late on purpose. */
const MOST_PER_SHARD = 1_000;

interface Due extends Key {
  readonly dueShard?: unknown;
  readonly dueAt?: unknown;
}

/**
 * Returns the record, in its own shard. If the record is due in a shard that no sweep would find it in, or later than
 * any record of its kind, it was edited by hand: it becomes due now, and the error raises an alarm. A disk that an
 * earlier version wrote moves to its new shard without one, with the next write of its step.
 */
export function clampDueAt<Record extends Due>(ctx: Context, record: Record, now: number): Record {
  const { pk, sk, dueAt } = record;
  if (typeof dueAt !== "number") return record;
  const key = { pk, sk };
  const dueShard = getDueShard(ctx.ids, key);
  const isInTime = dueAt <= now + longestWait(ctx, key);
  if (isInTime && record.dueShard === dueShard) return record;
  if (isInTime && isFormerShard(ctx.ids, key, record.dueShard)) return { ...record, dueShard };
  ctx.log.error("due where no sweep looks", { look: keyText(key), dueShard: String(record.dueShard), dueAt });
  return { ...record, dueShard, dueAt: now };
}

/** Reports whether a sweep finds the record once it is due. Any shard of the work queue's sweeps will do. */
export function isSwept(ctx: Context, { pk, sk, dueAt, dueShard }: Due, now: number): boolean {
  if (typeof dueAt !== "number") return true;
  return workShards.some((shard) => shard === dueShard) && dueAt <= now + longestWait(ctx, { pk, sk });
}

const workShards = [...dueShards, ...diskShards];

/** Only disks are due later. Keys end, and logs and deliveries are kept, within a week. */
const LONGEST_MS = 8 * DAY_MS;

/** A pool plans every minute, by the clock of the host that planned last. */
const POOL_MS = 3 * MINUTE_MS;

function longestWait({ settings }: Context, key: Key): number {
  if (kindOfKey(key) === "pool") return POOL_MS;
  if (kindOfKey(key) !== "disk") return LONGEST_MS;
  const days = Math.max(settings.diskRetentionDays, settings.diskVolumeIdleDays);
  return Math.max(LONGEST_MS, (days + 1) * DAY_MS);
}

/** Requests a reconcile for records due too far ahead, once an hour. The reconcile makes them due. */
export async function sweepFarFuture(ctx: Context<"table" | "queue">, shards: readonly string[]): Promise<void> {
  const now = ctx.clock.now();
  if (Math.floor(now / MINUTE_MS) % 60 !== HIDDEN_MINUTE) return;
  const items = (await Promise.all(shards.map((shard) => farAhead(ctx, shard, now)))).flat();
  const hidden = items.filter((item) => Number(item.dueAt) > now + longestWait(ctx, item));
  await Promise.all(hidden.map((item) => requestReconcile(ctx, toKey(item))));
}

async function farAhead(ctx: Context<"table">, partition: string, now: number): Promise<Item[]> {
  const query = { index: "due", partition, from: now + LONGEST_MS, limit: MOST_PER_SHARD } as const;
  return (await ctx.table.query(query)).items;
}
