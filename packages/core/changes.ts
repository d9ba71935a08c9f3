import type { Context } from "./context.ts";
import { keyOfText, kindOfKey } from "./keys.ts";
import { sendLook } from "./look.ts";

/** Sends a hint for each change that the compute signals, until `signal` aborts. Throws what the compute throws. */
export async function passOnChanges(ctx: Context<"queue" | "compute">, signal: AbortSignal): Promise<void> {
  for await (const { key: text } of ctx.compute.changes(signal)) {
    const key = keyOfText(text);
    // Its record's key was read from the world: nothing else than an environment is looked at because of it.
    if (key && kindOfKey(key) === "environment") await sendLook(ctx, key, { isHint: true });
  }
}
