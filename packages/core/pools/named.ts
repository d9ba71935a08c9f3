import type { Item, Key } from "../context.ts";
import { type Environment, parseEnvironment } from "../environments/record.ts";
import { keyOfText, keyText, kindOfKey } from "../keys.ts";
import { Unreadable } from "../unreadable.ts";
import type { PlannerContext } from "../worker.ts";

/** The environments that a look names or a ledger holds, consistently read; keys that are none are left out. */
export async function readNamed(ctx: PlannerContext, named: readonly string[]): Promise<Environment[]> {
  const keys = named.map(keyOfText).filter((key): key is Key => key !== undefined && kindOfKey(key) === "environment");
  if (keys.length === 0) return [];
  const items = await ctx.table.getMany(keys);
  return items.flatMap((item) => readable(ctx, item));
}

/** One record that cannot be read must not stop the plan of everybody else. */
function readable(ctx: PlannerContext, item: Item): Environment[] {
  try {
    return [parseEnvironment(item)];
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    ctx.log.error("unreadable record", { look: keyText(item) });
    return [];
  }
}
