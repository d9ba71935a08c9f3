import type { Context } from "../../context.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { poolKey } from "../../store/keys.ts";
import { changeRecord } from "../../store/write-record.ts";
import { findPool } from "../ledger/record.ts";

/** Makes a pool due and queues a plan after its machines changed. */
export async function planSoon(ctx: Context<"table" | "queue">, type: string): Promise<void> {
  await changeRecord(ctx, {
    read: () => findPool(ctx, type),
    decide: (pool) => pool && { ...pool, dueAt: ctx.clock.now() },
    what: `Pool ${type} is`,
  });
  await requestReconcile(ctx, poolKey(type));
}
