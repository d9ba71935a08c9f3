import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { keyText } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { Unreadable } from "../store/unreadable.ts";
import { changeInbox, findInbox, isNew, newestNumber } from "./inbox.ts";
import type { Inbox } from "./record.ts";

/**
 * Drops waiting messages, which would wake a stopped environment. Ignores an unreadable inbox, but throws `Unreadable`
 * for one of a newer version.
 */
export async function dropMessages(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  const knownUnlessPoisoned = await findUnlessPoisoned(ctx, environment.uid);
  if (!knownUnlessPoisoned) return;
  const newest = await newestNumber(ctx, environment.uid, knownUnlessPoisoned);
  if (newest <= Math.max(knownUnlessPoisoned.settled, knownUnlessPoisoned.dropTo)) return;
  await changeInbox(ctx, environment, (inbox) => ({ ...inbox, dropTo: Math.max(inbox.dropTo, newest) }));
}

async function findUnlessPoisoned(ctx: Context<"table">, uid: string): Promise<Inbox | undefined> {
  try {
    return await findInbox(ctx, uid);
  } catch (error) {
    if (!(error instanceof Unreadable) || error.isNewer) throw error;
    ctx.log.error("poisoned record", { look: keyText(error.item), why: error.message });
    return undefined;
  }
}

/** Makes the inbox due now, if there is one. An unreadable inbox is left to its own reconcile. */
export async function callInbox(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  await unlessUnreadable(ctx, () => changeInbox(ctx, environment, (inbox) => (isNew(inbox) ? undefined : inbox)));
}
