import type { Item } from "../context.ts";
import { putIf } from "../put-if.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { findApiKey, parseUser, type User } from "./record.ts";

/** Ends the keys that shall end: the key first, then its line in the user's record (design section 3). */
export async function stepUser(ctx: WorkerContext, item: Item, now: number): Promise<Step<User>> {
  const user = parseUser(item);
  for (const hash of user.revoking) await revoke(ctx, hash, now);
  return { record: { ...user, revoking: [], attempts: 0, dueAt: undefined }, sends: [], did: "revoked" };
}

/** Throws when the key changed meanwhile: the step is tried again. A key that was never written needs no end. */
async function revoke(ctx: WorkerContext, hash: string, now: number): Promise<void> {
  const key = await findApiKey(ctx, hash);
  if (!key || (key.revokedAt !== null && key.revokedAt <= now)) return;
  const revoked = { ...key, version: key.version + 1, revokedAt: now };
  if (!(await putIf(ctx, revoked, key.version))) throw new Error("The key changed while it was being revoked");
}
