import type { Context } from "../../context.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { emptyPool, findPool, type Pool } from "../ledger/record.ts";
import { carryAdmission } from "./admission.ts";

/**
 * A new pool, closed until it was carried what the operator wants: a wish that found no pool is seen then. Undefined:
 * somebody else made it meanwhile.
 */
export async function beginPool(ctx: Context<"table" | "queue">, type: string): Promise<Pool | undefined> {
  const begun = await writeRecord<Pool>(ctx, { ...emptyPool(ctx, type), closed: "paused" });
  if (!begun) return undefined;
  await unlessUnreadable(ctx, () => carryAdmission(ctx, type));
  return findPool(ctx, type);
}
