import type { Key } from "../context.ts";
import { type Environment, parseEnvironment } from "../environments/record.ts";
import { keyOfText, kindOfKey } from "../keys.ts";
import { readable } from "../readable.ts";
import type { PlannerContext } from "../worker.ts";

/** The environments that a look names or a ledger holds, consistently read; keys that are none are left out. */
export async function readNamed(ctx: PlannerContext, named: readonly string[]): Promise<Environment[]> {
  const keys = named.map(keyOfText).filter((key): key is Key => key !== undefined && kindOfKey(key) === "environment");
  if (keys.length === 0) return [];
  return readable(ctx, await ctx.table.getMany(keys), parseEnvironment);
}
