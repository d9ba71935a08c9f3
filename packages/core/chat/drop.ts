import type { Context } from "../context.ts";
import type { Environment } from "../environments/record.ts";
import { changeInbox, findInbox, isNew, newestNumber } from "./inbox.ts";

/**
 * Gives up what waits to be delivered. Called before the environment is stopped: what waits for one that is stopped
 * wakes it.
 */
export async function dropMessages(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  const known = await findInbox(ctx, environment.uid);
  if (!known) return;
  const newest = await newestNumber(ctx, environment.uid, known);
  if (newest <= Math.max(known.settled, known.dropTo)) return;
  await changeInbox(ctx, environment, (inbox) => ({ ...inbox, dropTo: Math.max(inbox.dropTo, newest) }));
}

/** Has the inbox looked at now, where there is one: the environment was started, or is to be forgotten. */
export async function callInbox(
  ctx: Context<"table" | "queue">,
  environment: Pick<Environment, "pk" | "sk" | "uid" | "owner">,
): Promise<void> {
  await changeInbox(ctx, environment, (inbox) => (isNew(inbox) ? undefined : inbox));
}
