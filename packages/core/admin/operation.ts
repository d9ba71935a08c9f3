import type { Context } from "../context.ts";
import { poolTypes } from "../fleet.ts";
import { type EstimateErrors, estimateErrorsKey, estimateErrorsOf } from "../pools/forecast/estimate-errors.ts";
import { parsePool } from "../pools/ledger/parse.ts";
import type { Pool } from "../pools/ledger/record.ts";
import type { QueueDepth, QueueName } from "../ports/queue.ts";
import type { Item } from "../ports/table.ts";
import { dueShards } from "../store/due.ts";
import { clusterKey, keyText, kindOfKey, poolKey } from "../store/keys.ts";
import { readEach, unlessUnreadable } from "../store/readable.ts";
import { type OrphanReport, readOrphans } from "./orphans.ts";

/** What the operator watches, read from the stores: the same whichever process answers. */
export interface Operation {
  readonly depths: Readonly<Record<QueueName, QueueDepth>>;
  /** Ledgers that were planned at least once, sorted by type. */
  readonly pools: readonly Pool[];
  /** The types whose ledger is there and cannot be read: nothing else is known of them. */
  readonly unreadable: readonly string[];
  /** How long the record that is due for the longest has been waiting for its look; 0: none is overdue. */
  readonly lagMs: number;
  readonly orphans: OrphanReport | undefined;
  /** How wrong the last estimates were, sorted by type; of those that had starts. */
  readonly estimateErrors: readonly EstimateErrors[];
  /** Whether the cluster answered when its machines were listed last. */
  readonly isClusterReachable: boolean;
}

/** One batch read of ledgers and forecasts, one item, three depths, and of each shard of `due` the first entry. */
export async function readOperation(ctx: Context<"table" | "queue">): Promise<Operation> {
  const [items, orphans, work, pools, webhooks, lags] = await Promise.all([
    ctx.table.getMany([...poolTypes.map(poolKey), ...poolTypes.map(estimateErrorsKey), clusterKey]),
    unlessUnreadable(ctx, () => readOrphans(ctx)),
    ctx.queue.depth("work"),
    ctx.queue.depth("pools"),
    ctx.queue.depth("webhooks"),
    Promise.all(dueShards.map((shard) => lagIn(ctx, shard))),
  ]);
  const heads = items.filter((item) => kindOfKey(item) === "pool");
  const { records, unreadable } = readEach(ctx, heads, parsePool);
  const planned = records.filter(({ summary }) => summary.plannedAt > 0);
  planned.sort((a, b) => (a.type < b.type ? -1 : 1));
  return {
    depths: { work, pools, webhooks },
    pools: planned,
    unreadable: poolTypes.filter((type) => unreadable.has(keyText(poolKey(type)))),
    lagMs: Math.max(0, ...lags),
    orphans,
    estimateErrors: estimateErrorsOf(items, poolTypes),
    isClusterReachable: isReachable(items),
  };
}

/** What a newer version wrote says nothing here. */
function isReachable(items: readonly Item[]): boolean {
  return items.find(({ pk }) => pk === clusterKey.pk)?.reachable !== false;
}

async function lagIn(ctx: Context<"table">, partition: string): Promise<number> {
  const { items } = await ctx.table.query({ index: "due", partition, limit: 1 });
  const dueAt = items[0]?.dueAt;
  return typeof dueAt === "number" ? ctx.clock.now() - dueAt : 0;
}
