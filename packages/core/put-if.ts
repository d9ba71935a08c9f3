import type { Context, Stored } from "./context.ts";
import { Conflict } from "./problem.ts";

/** A conditional write as a question: false when somebody else was faster. `ifVersion` 0: put if absent. */
export async function putIf(ctx: Context<"table">, item: Stored, ifVersion: number): Promise<boolean> {
  try {
    await ctx.table.put(item, { ifVersion });
    return true;
  } catch (error) {
    if (error instanceof Conflict) return false;
    throw error;
  }
}
