import type { Context, Item } from "./context.ts";
import { keyText } from "./keys.ts";

const PUT_OFF_MS = 3_600_000;

/** A record that cannot be read, as it is put off: nobody touches it for an hour, and the log line is an alarm. */
export function poisoned(ctx: Context, item: Item, now: number): Item & { readonly dueAt: number } {
  ctx.log.error("poisoned record", { look: keyText(item) });
  return { ...item, poisoned: true, dueAt: now + PUT_OFF_MS };
}
