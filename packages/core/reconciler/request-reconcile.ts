import type { Context } from "../context.ts";
import type { ReconcileRequest } from "../ports/queue.ts";
import type { Key } from "../ports/table.ts";
import { keyText, kindOfKey } from "../store/keys.ts";

/** The sweep sends messages for records due later than this. */
export const SWEEP_REACH_MS = 180_000;

export interface ReconcileOptions {
  readonly delayMs?: number;
  readonly for?: readonly string[];
  readonly isHint?: boolean;
  readonly isFromHint?: boolean;
  readonly isInterrupted?: boolean;
}

/**
 * Sends a message to reconcile this record, at once or after a delay in ms (rounded up to seconds). Messages for pools
 * go to the pools queue; delayed ones go to `work`, whose consumer forwards them, because a FIFO queue has no delay per
 * message. Messages for deliveries go to `webhooks`. A failed send is only logged: the record is due, and the sweep
 * finds it.
 */
export async function requestReconcile(ctx: Context<"queue">, key: Key, options: ReconcileOptions = {}): Promise<void> {
  const recordKey = keyText(key);
  const message: ReconcileRequest = {
    look: recordKey,
    ...(options.for && { for: options.for }),
    ...(options.isHint && { hint: true }),
    ...(options.isFromHint && { fromHint: true }),
    ...(options.isInterrupted && { interrupted: true }),
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
    ctx.log.warn("send failed", { look: recordKey, error: String(error) });
  }
}
