import type { Context, Item } from "#core/context.ts";
import { poolTypes } from "#core/fleet.ts";
import { poolKey } from "#core/keys.ts";

/**
 * To be called before the first message. The queue of a local stack is empty when it starts, so what the end of an
 * environment had to tell its pool may be lost: every pool compares all that it holds with the records at its first
 * look, not only within its minute.
 */
export async function refreshPools({ table, clock }: Pick<Context<"table">, "table" | "clock">): Promise<void> {
  const pools = await table.getMany(poolTypes.map(poolKey));
  await Promise.all(
    pools.map((pool) => {
      const due: Item = { ...pool, version: pool.version + 1, refreshedAt: 0, dueAt: clock.now() };
      return table.put(due, { ifVersion: pool.version });
    }),
  );
}
