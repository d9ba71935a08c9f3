import type { Context } from "../context.ts";
import type { Look } from "../ports/queue.ts";
import type { Key } from "../ports/table.ts";
import { keyText, kindOfKey } from "../store/keys.ts";

/** The sweep finds everything that is due later than this, so nobody else sends a look for it. */
export const SWEEP_REACH_MS = 180_000;

export interface LookOptions {
  readonly delayMs?: number;
  readonly for?: readonly string[];
  readonly isHint?: boolean;
  readonly isFromHint?: boolean;
}

/**
 * Sends "look at this record", at once or after a delay in ms (rounded up to seconds). A look at a pool goes to the
 * pool's own queue, but a delayed one to `work`, whose consumer passes it on: a FIFO queue takes no delay. A look at a
 * delivery goes to `webhooks`.
 * A failed send is logged and forgotten: the record is due, and the sweep will find it.
 */
export async function sendLook(ctx: Context<"queue">, key: Key, options: LookOptions = {}): Promise<void> {
  const look = keyText(key);
  const message: Look = {
    look,
    ...(options.for && { for: options.for }),
    ...(options.isHint && { hint: true }),
    ...(options.isFromHint && { fromHint: true }),
  };
  const delaySeconds = Math.ceil(Math.max(0, options.delayMs ?? 0) / 1000);
  try {
    if (kindOfKey(key) === "pool" && delaySeconds === 0) {
      await ctx.queue.send("pools", message, { group: key.pk });
      return;
    }
    const queue = kindOfKey(key) === "delivery" ? "webhooks" : "work";
    await ctx.queue.send(queue, message, delaySeconds > 0 ? { delaySeconds } : {});
  } catch (error) {
    ctx.log.warn("send failed", { look, error: String(error) });
  }
}
