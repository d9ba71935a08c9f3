import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { keyText } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { Unreadable } from "../store/unreadable.ts";
import { changeInbox, findInbox, isNew, newestNumber } from "./inbox.ts";
import type { Inbox } from "./record.ts";

/**
 * Drops waiting messages. The caller runs it before stopping the environment, because a waiting message would wake it.
 * Ignores an unreadable inbox, which wakes nothing. Throws `Unreadable` for an inbox of a newer version, which would.
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

/**
 * Makes the inbox due now, if there is one: the environment was started or has ended. The caller has already done its
 * part, so an unreadable inbox is left to its own look.
 */
export async function callInbox(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  await unlessUnreadable(ctx, () => changeInbox(ctx, environment, (inbox) => (isNew(inbox) ? undefined : inbox)));
}
