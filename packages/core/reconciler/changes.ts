import type { Context } from "../context.ts";
import { keyOfText, kindOfKey } from "../store/keys.ts";
import { hintLimit } from "./hint-limit.ts";
import { sendLook } from "./look.ts";

interface Following {
  readonly signal: AbortSignal;
  /** The version up to which somebody followed before; null: nobody did. */
  readonly from: string | null;
  /** Is told up to where every change has been passed on. */
  readonly reached: (version: string) => void;
}

/**
 * Sends hints for the changes that the compute signals, until `signal` aborts; for a flood of them fewer
 * (hint-limit.ts). Throws what the compute throws.
 */
export async function passOnChanges(
  ctx: Context<"queue" | "compute">,
  { signal, from, reached }: Following,
): Promise<void> {
  const delayOf = hintLimit(ctx);
  for await (const change of ctx.compute.changes(signal, from ?? undefined)) {
    if ("upTo" in change) reached(change.upTo);
    else await sendHint(ctx, change.key, delayOf);
  }
}

async function sendHint(ctx: Context<"queue">, text: string, delayOf: ReturnType<typeof hintLimit>): Promise<void> {
  const key = keyOfText(text);
  // Its record's key was read from the world: nothing else than an environment is looked at because of it.
  if (!key || kindOfKey(key) !== "environment") return;
  const delayMs = delayOf(text);
  if (delayMs !== undefined) await sendLook(ctx, key, { isHint: true, delayMs });
}
