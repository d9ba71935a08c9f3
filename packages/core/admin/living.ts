import type { Context } from "../context.ts";
import { toKey } from "../environments/record/record.ts";
import type { Key } from "../ports/table.ts";
import { deliveryShards, dueShards } from "../store/due.ts";
import { keyText, kindOfKey, type RecordKind } from "../store/keys.ts";

/**
 * Lists the keys of all living environments from the `due` index, without a scan: waiting, preparing, active and
 * stopping ones, and ended ones until their last reconcile. The index may lag by seconds. `dueUntil` limits the list to
 * those due by then.
 */
export async function listLivingKeys(ctx: Context<"table">, dueUntil?: number): Promise<Key[]> {
  return listDueKeys(ctx, "environment", dueUntil);
}

/** Lists the keys of all records of this kind that are in the `due` index. Disks have other partitions. */
export async function listDueKeys(
  ctx: Context<"table">,
  kind: Exclude<RecordKind, "disk">,
  dueUntil?: number,
): Promise<Key[]> {
  const shards = kind === "delivery" ? deliveryShards : dueShards;
  const found = (await Promise.all(shards.map((shard) => keysIn(ctx, shard, kind, dueUntil)))).flat();
  return [...new Map(found.map((key) => [keyText(key), key])).values()];
}

async function keysIn(
  ctx: Context<"table">,
  partition: string,
  kind: RecordKind,
  to: number | undefined,
): Promise<Key[]> {
  const found: Key[] = [];
  let after: string | undefined;
  do {
    const query = { index: "due", partition, ...(to === undefined ? {} : { to }) } as const;
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...page.items.map(toKey).filter((key) => kindOfKey(key) === kind));
    after = page.next;
  } while (after !== undefined);
  return found;
}
