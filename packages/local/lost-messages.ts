import type { Context } from "#core/context.ts";
import { poolTypes } from "#core/fleet.ts";
import { poolKey, sweepKey } from "#core/keys.ts";
import { removeRecord, writeRecord } from "#core/write-record.ts";

/**
 * To be called before the first message. The queue of a local stack is empty when it starts, so what the end of an
 * environment had to tell its pool may be lost: every pool compares all that it holds with the records at its first
 * look, not only within its minute.
 */
export async function refreshPools(ctx: Pick<Context<"table">, "table" | "ids" | "clock">): Promise<void> {
  const pools = await ctx.table.getMany(poolTypes.map(poolKey));
  await Promise.all(pools.map((pool) => writeRecord(ctx, { ...pool, refreshedAt: 0, dueAt: ctx.clock.now() })));
}

/** To be called before the first sweep, for the same reason: what the last one sent ahead is sent again. */
export async function forgetSweeps(ctx: Pick<Context<"table">, "table" | "ids">): Promise<void> {
  const cursors = await ctx.table.getMany([sweepKey("work"), sweepKey("webhooks")]);
  await Promise.all(cursors.map((cursor) => removeRecord(ctx, cursor)));
}
