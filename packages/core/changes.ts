import type { Context } from "./context.ts";
import { hintLimit } from "./hint-limit.ts";
import { keyOfText, kindOfKey } from "./keys.ts";
import { sendLook } from "./look.ts";

/**
 * Sends hints for the changes that the compute signals, until `signal` aborts; for a flood of them fewer
 * (hint-limit.ts). Throws what the compute throws.
 */
export async function passOnChanges(ctx: Context<"queue" | "compute">, signal: AbortSignal): Promise<void> {
  const delayOf = hintLimit(ctx);
  for await (const { key: text } of ctx.compute.changes(signal)) {
    const key = keyOfText(text);
    // Its record's key was read from the world: nothing else than an environment is looked at because of it.
    if (!key || kindOfKey(key) !== "environment") continue;
    const delayMs = delayOf(text);
    if (delayMs !== undefined) await sendLook(ctx, key, { isHint: true, delayMs });
  }
}
