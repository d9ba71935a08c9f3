import type { Context } from "../context.ts";
import type { Posted } from "./post.ts";
import { type MessageStatus, readMessage } from "./read.ts";

const FIRST_POLL_MS = 25;
const SLOWEST_POLL_MS = 250;

export async function waitForDelivery(
  ctx: Context<"table" | "sealer">,
  { uid, n }: Posted,
  budgetMs: number,
): Promise<MessageStatus | undefined> {
  const begun = ctx.clock.monotonic();
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 2, SLOWEST_POLL_MS)) {
    await ctx.clock.sleep(wait);
    const status = await readMessage(ctx, uid, n);
    const left = budgetMs - (ctx.clock.monotonic() - begun);
    if (status?.state !== "waiting" || left < SLOWEST_POLL_MS) return status;
  }
}
