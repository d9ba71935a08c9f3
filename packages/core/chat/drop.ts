import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { keyText } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { Unreadable } from "../store/unreadable.ts";
import { changeInbox, findInbox, isNew, newestNumber } from "./inbox.ts";
import type { Inbox } from "./record.ts";

/**
 * Gives up what waits to be delivered. Called before the environment is stopped: what waits for one that is stopped
 * wakes it. A list that nobody can read wakes nothing, and keeps nobody from stopping; throws `Unreadable` for one of a
 * newer version, which would.
 */
export async function dropMessages(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  const known = await findUnlessPoisoned(ctx, environment.uid);
  if (!known) return;
  const newest = await newestNumber(ctx, environment.uid, known);
  if (newest <= Math.max(known.settled, known.dropTo)) return;
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
 * Has the inbox looked at now, where there is one: the environment was started, or is to be forgotten. That was carried
 * out by then: one that cannot be read is left to its own look.
 */
export async function callInbox(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  await unlessUnreadable(ctx, () => changeInbox(ctx, environment, (inbox) => (isNew(inbox) ? undefined : inbox)));
}
