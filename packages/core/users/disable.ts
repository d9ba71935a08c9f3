import type { Context } from "../context.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { changeRecord } from "../store/write-record.ts";
import { getUserByName, keyOfUser, type User } from "./record.ts";

type DisableContext = Context<"table" | "queue">;

/** Disables a user at once for new keys, and within 5 s for existing ones. Running environments go on. */
export async function disableUser(ctx: DisableContext, username: string): Promise<User> {
  return setDisabled(ctx, username, true);
}

/** Enables a user again, with the keys that are still valid. */
export async function enableUser(ctx: DisableContext, username: string): Promise<User> {
  return setDisabled(ctx, username, false);
}

const TRIES = 10;

async function setDisabled(ctx: DisableContext, username: string, disabled: boolean): Promise<User> {
  const { record, read: storedUser } = await changeRecord(ctx, {
    read: () => getUserByName(ctx, username),
    decide(user): User | undefined {
      if (user.disabled === disabled) return undefined;
      return { ...user, disabled, accessChanges: (user.accessChanges ?? 0) + 1, dueAt: ctx.clock.now() };
    },
    what: `User '${username}' is`,
    tries: TRIES,
  });
  if (record) await requestReconcile(ctx, keyOfUser(record));
  return record ?? storedUser;
}
