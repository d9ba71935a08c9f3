import { passOnChanges } from "#core/changes.ts";
import type { Context } from "#core/context.ts";
import type { Loop } from "./loops.ts";

const againAfterMs = 1_000;

/** Has those looked at that the compute says have changed, until it is stopped. */
export function followChanges(ctx: Context<"queue" | "compute">): Loop {
  const aborted = new AbortController();
  const following = follow(ctx, aborted.signal);
  return {
    async stop() {
      aborted.abort();
      await following;
    },
  };
}

async function follow(ctx: Context<"queue" | "compute">, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await passOnChanges(ctx, signal);
    } catch (error) {
      ctx.log.warn("changes not followed", { error: String(error) });
      await ctx.clock.sleep(againAfterMs);
    }
  }
}
