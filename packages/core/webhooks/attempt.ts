import type { Context } from "../context.ts";
import { AddressRefused, NoAnswer } from "../problem.ts";
import { isFinalStatus, type Result } from "./schedule.ts";
import { webhookHeaders } from "./signature.ts";

/** Time-out of a whole post (docs/apis/novita.md#webhooks). */
export const PATIENCE_MS = 10_000;

interface Post {
  readonly id: string;
  readonly url: string;
  readonly body: string;
}

/** Posts once and never throws: the result holds the status, or a word for the failure. */
export async function postAttempt(ctx: Context<"fetch">, { id, url, body }: Post): Promise<Result> {
  try {
    const headers = webhookHeaders(ctx, id, body, ctx.clock.now());
    const { status, retryAfterMs } = await ctx.fetch.post({ url, headers, body, timeoutMs: PATIENCE_MS });
    return { status, error: null, retryAfterMs, isFinal: isFinalStatus(status) };
  } catch (error) {
    if (error instanceof AddressRefused) return unanswered("private address", true);
    return unanswered(error instanceof NoAnswer ? error.message : "network error", false);
  }
}

function unanswered(error: string, isFinal: boolean): Result {
  return { status: null, error, retryAfterMs: null, isFinal };
}
