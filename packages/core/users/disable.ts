import type { Context } from "../context.ts";
import { sendLook } from "../look.ts";
import { Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { getUserByName, keyOfUser, type User } from "./record.ts";

type DisableContext = Context<"table" | "queue">;

/**
 * Shuts a user out: no new key from the answer on; the keys there are follow when reconcile has looked, which no
 * request survives for more than 30 s. What runs goes on. Throws `notFound`.
 */
export async function disableUser(ctx: DisableContext, username: string): Promise<User> {
  return setDisabled(ctx, username, true);
}

/** Lets a user in again, with the keys that have not ended meanwhile. Throws `notFound`. */
export async function enableUser(ctx: DisableContext, username: string): Promise<User> {
  return setDisabled(ctx, username, false);
}

const TRIES = 10;

async function setDisabled(ctx: DisableContext, username: string, disabled: boolean): Promise<User> {
  for (let tries = 0; tries < TRIES; tries++) {
    const user = await getUserByName(ctx, username);
    if (user.disabled === disabled) return user;
    const accessChanges = (user.accessChanges ?? 0) + 1;
    const next: User = { ...user, disabled, accessChanges, version: user.version + 1, dueAt: ctx.clock.now() };
    if (!(await putIf(ctx, next, user.version))) continue;
    await sendLook(ctx, keyOfUser(user));
    return next;
  }
  throw new Problem("unavailable", `User '${username}' is changing too fast, try again`, { retryAfterSeconds: 1 });
}
