import type { Context } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { keyText } from "../store/keys.ts";
import type { Unreadable } from "../store/unreadable.ts";
import { HOUR_MS } from "../units.ts";

const PUT_OFF_MS = HOUR_MS;

/**
 * A record that cannot be read, as it is put off: nobody touches it for an hour, and the log line is an alarm. Undefined:
 * a newer version wrote it, and it is left as it is. Nothing is sent for that one either: it stays due, so that the sweep
 * sends one look a minute until a newer worker takes it, where looks that resend themselves would multiply.
 */
export function poisoned(
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
