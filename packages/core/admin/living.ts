import type { Context } from "../context.ts";
import { keyOf } from "../environments/record/record.ts";
import type { Key } from "../ports/table.ts";
import { dueShards } from "../store/due.ts";
import { keyText, kindOfKey } from "../store/keys.ts";

/**
 * The keys of every environment that is not done, of all owners: what the `due` index holds, without a scan. That is
 * whoever waits, prepares, is active or stops, and who ended, until its last look; the index may be some seconds late.
 * `dueUntil`: only those that are looked at by then.
 */
export async function listLivingKeys(ctx: Context<"table">, dueUntil?: number): Promise<Key[]> {
  const found = (await Promise.all(dueShards.map((shard) => keysIn(ctx, shard, dueUntil)))).flat();
  return [...new Map(found.map((key) => [keyText(key), key])).values()];
}

async function keysIn(ctx: Context<"table">, partition: string, to: number | undefined): Promise<Key[]> {
  const found: Key[] = [];
  let after: string | undefined;
  do {
    const query = { index: "due", partition, ...(to === undefined ? {} : { to }) } as const;
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...page.items.map(keyOf).filter((key) => kindOfKey(key) === "environment"));
    after = page.next;
  } while (after !== undefined);
  return found;
}
