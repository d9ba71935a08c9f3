import type { Context } from "../context.ts";
import { keyOfText, kindOfKey } from "../store/keys.ts";
import { hintLimit } from "./hint-limit.ts";
import { requestReconcile } from "./request-reconcile.ts";

interface Following {
  readonly signal: AbortSignal;
  /** The version that an earlier follower reached, or null. */
  readonly from: string | null;
  /** Called with each version up to which all changes were passed on. */
  readonly reached: (version: string) => void;
}

/** Sends hints for changes until `signal` aborts, fewer in a flood (hint-limit.ts). Throws the compute's errors. */
export async function forwardEvents(
  ctx: Context<"queue" | "compute">,
  { signal, from, reached }: Following,
): Promise<void> {
  const findDelay = hintLimit(ctx);
  for await (const change of ctx.compute.changes(signal, from ?? undefined)) {
    if ("upTo" in change) reached(change.upTo);
    else await sendHint(ctx, change.key, findDelay);
  }
}

async function sendHint(ctx: Context<"queue">, text: string, findDelay: ReturnType<typeof hintLimit>): Promise<void> {
  const key = keyOfText(text);
  // The key comes from the cluster, so hint only for environments.
  if (!key || kindOfKey(key) !== "environment") return;
  const delayMs = findDelay(text);
  if (delayMs !== undefined) await requestReconcile(ctx, key, { isHint: true, delayMs });
}
