import type { Context } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { keyText } from "../store/keys.ts";
import type { Unreadable } from "../store/unreadable.ts";
import { HOUR_MS } from "../units.ts";

const PUT_OFF_MS = HOUR_MS;

/**
 * Returns the unreadable record postponed by an hour, and raises an alarm. Returns undefined for a record of a newer
 * version, which stays unchanged and due: the sweep sends one message a minute until a newer worker handles it.
 * Messages that resend themselves would multiply.
 */
export function quarantine(
  ctx: Context,
  { item, isNewer, message }: Unreadable,
  now: number,
): (Item & { readonly dueAt: number }) | undefined {
  if (isNewer) {
    ctx.log.info("record of a newer version", { look: keyText(item) });
    return undefined;
  }
  ctx.log.error("poisoned record", { look: keyText(item), why: message });
  return { ...item, poisoned: true, dueAt: now + PUT_OFF_MS };
}
