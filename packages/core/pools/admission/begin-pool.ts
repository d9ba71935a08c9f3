import type { Context } from "../../context.ts";
import type { Key } from "../../ports/table.ts";
import { keyText, poolKey } from "../../store/keys.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { emptyPool, findPool, type Pool } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { carryAdmission } from "./admission.ts";

/**
 * Creates a pool that stays closed until the operator's setting is copied into it. A setting changed before the pool
 * existed takes effect then. Returns undefined if another process created the pool first.
 */
export async function beginPool(ctx: Context<"table" | "queue">, type: string): Promise<Pool | undefined> {
  const begun = await writeRecord<Pool>(ctx, { ...emptyPool(ctx, type), closed: "paused" });
  if (!begun) return undefined;
  await unlessUnreadable(ctx, () => carryAdmission(ctx, type));
  return findPool(ctx, type);
}

/**
 * Creates and plans the pools of NODE_GROUPS and of `found` that are missing from `items`. Types whose group has no machine yet get
 * counts before the first job asks for them.
 */
export async function beginGroupPools(
  ctx: Context<"table" | "queue">,
  items: readonly Key[],
  found: Iterable<string>,
): Promise<void> {
  const there = new Set(items.map(keyText));
  const types = new Set([...ctx.settings.nodeGroups.map(({ pool }) => pool), ...found]);
  const missing = [...types].filter((type) => !there.has(keyText(poolKey(type))));
  await Promise.all(
    missing.map(async (type) => {
      if (await beginPool(ctx, type)) await planSoon(ctx, type);
    }),
  );
}
