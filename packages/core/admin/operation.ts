import type { Context } from "../context.ts";
import { poolTypes } from "../fleet.ts";
import { type EstimateErrors, estimateErrorsKey, readEstimateErrors } from "../pools/forecast/calibration.ts";
import { type Pool, poolParser } from "../pools/ledger/record.ts";
import type { QueueDepth, QueueName } from "../ports/queue.ts";
import type { Item } from "../ports/table.ts";
import { diskShards, dueShards } from "../store/due.ts";
import { clusterKey, keyText, kindOfKey, poolKey } from "../store/keys.ts";
import { readEach, unlessUnreadable } from "../store/readable.ts";
import { type OrphanReport, readOrphans } from "./orphans.ts";

export interface Operation {
  readonly depths: Readonly<Record<QueueName, QueueDepth>>;
  /** Pools that were planned at least once, sorted by type. */
  readonly pools: readonly Pool[];
  /** Types whose pool record is unreadable. */
  readonly unreadable: readonly string[];
  /** How long the oldest due record has been waiting for its reconcile, ms. 0 if none is overdue. */
  readonly lagMs: number;
  readonly orphans: OrphanReport | undefined;
  /** Errors of recent estimates, sorted by type. Types without starts are left out. */
  readonly estimateErrors: readonly EstimateErrors[];
  readonly isClusterReachable: boolean;
}

/** Reads one batch of pools and forecasts, one item, three queue depths, and the first entry of each shard of `due`. */
export async function readOperation(ctx: Context<"table" | "queue">): Promise<Operation> {
  const [items, orphans, work, pools, webhooks, lags] = await Promise.all([
    ctx.table.getMany([...poolTypes.map(poolKey), ...poolTypes.map(estimateErrorsKey), clusterKey]),
    unlessUnreadable(ctx, () => readOrphans(ctx)),
    ctx.queue.depth("work"),
    ctx.queue.depth("pools"),
    ctx.queue.depth("webhooks"),
    Promise.all([...dueShards, ...diskShards].map((shard) => lagIn(ctx, shard))),
  ]);
  const heads = items.filter((item) => kindOfKey(item) === "pool");
  const { records, unreadable } = readEach(ctx, heads, poolParser(ctx));
  const planned = records.filter(({ summary }) => summary.plannedAt > 0);
  planned.sort((a, b) => (a.type < b.type ? -1 : 1));
  return {
    depths: { work, pools, webhooks },
    pools: planned,
    unreadable: poolTypes.filter((type) => unreadable.has(keyText(poolKey(type)))),
    lagMs: Math.max(0, ...lags),
    orphans,
    estimateErrors: readEstimateErrors(items, poolTypes),
    isClusterReachable: isReachable(items),
  };
}

/** Returns true for an item of a newer version. */
function isReachable(items: readonly Item[]): boolean {
  return items.find(({ pk }) => pk === clusterKey.pk)?.reachable !== false;
}

async function lagIn(ctx: Context<"table">, partition: string): Promise<number> {
  const { items } = await ctx.table.query({ index: "due", partition, limit: 1 });
  const dueAt = items[0]?.dueAt;
  return typeof dueAt === "number" ? ctx.clock.now() - dueAt : 0;
}
