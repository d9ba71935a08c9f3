import type { UserContext } from "../../context.ts";
import { findEnvironment } from "./read.ts";
import type { Environment } from "./record.ts";

/** API Gateway ends a call at 30 s (docs/apis/common.md#calls-that-wait). */
export const WAIT_BUDGET_MS = 25_000;
const FIRST_MS = 100;
const LONGEST_MS = 250;

/** Polls the caller's environment until `until` holds or the budget is spent; undefined if it is gone. */
export async function waitForEnvironment(
  ctx: UserContext<"table">,
  id: string,
  until: (environment: Environment | undefined) => boolean,
  budgetMs: number = WAIT_BUDGET_MS,
): Promise<Environment | undefined> {
  const startedAt = ctx.clock.monotonic();
  for (let pause = FIRST_MS; ; pause = Math.min(pause + 50, LONGEST_MS)) {
    const environment = await findEnvironment(ctx, id);
    const left = budgetMs - (ctx.clock.monotonic() - startedAt);
    if (until(environment) || left <= 0) return environment;
    await ctx.clock.sleep(Math.min(pause, left));
  }
}
