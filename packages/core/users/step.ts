import type { Context } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { Conflict } from "../problem.ts";
import type { Step, WorkerContext } from "../reconciler/step.ts";
import { apiKeyKey, keyText } from "../store/keys.ts";
import { readEach } from "../store/readable.ts";
import { writeRecord } from "../store/write-record.ts";
import { toApiKey } from "./issue.ts";
import { type ApiKey, parseApiKey, parseUser, type User, type UserKey } from "./record.ts";

/** A listed key without an item is treated as never written after this time: its login died. */
const WRITTEN_WITHIN_MS = 60_000;

/**
 * Applies the user's record to its keys, revocations first (docs/architecture/table.md). Throws `Conflict` to retry.
 */
export async function stepUser(ctx: WorkerContext, item: Item, now: number): Promise<Step<User>> {
  const user = parseUser(item);
  const { keyOfHash, isBroken } = await readKeys(ctx, user);
  const whole = (hash: string) => !isBroken(hash);
  const revoking = user.revoking.filter(whole);
  await Promise.all(revoking.map((hash) => revoke(ctx, user, hash, keyOfHash(hash), now)));
  const mine = user.keys.filter(({ hash }) => whole(hash));
  const lines = await Promise.all(mine.map((line) => settleLine(ctx, user, line, keyOfHash(line.hash), now)));
  // Fail after the others are settled, so that an unreadable key does not keep another one alive. The step is retried.
  if (revoking.length + mine.length < user.revoking.length + user.keys.length) {
    throw new Error("An API key of the user cannot be read");
  }
  const kept = lines.filter((line) => line !== undefined);
  const dueAts = kept.flatMap(({ dueAt }) => dueAt ?? []);
  const record: User = {
    ...user,
    keys: kept.map(({ line }) => line),
    revoking: [],
    attempts: 0,
    dueAt: dueAts.length > 0 ? Math.min(...dueAts) : undefined,
  };
  return { record, notify: [], log: user.revoking.length > 0 ? "revoked" : "settled" };
}

async function readKeys(ctx: WorkerContext, user: User) {
  const hashes = [...user.revoking, ...user.keys.map(({ hash }) => hash)];
  const { records, unreadable } = readEach(ctx, await ctx.table.getMany(hashes.map(apiKeyKey)), parseApiKey);
  const found = new Map(records.map((key) => [key.pk, key]));
  return {
    keyOfHash: (hash: string): ApiKey | undefined => found.get(apiKeyKey(hash).pk),
    isBroken: (hash: string): boolean => unreadable.has(keyText(apiKeyKey(hash))),
  };
}

/** Revokes a key. A missing key is written as revoked, so that a login that still tries to write it fails. */
async function revoke(
  ctx: Context<"table">,
  user: User,
  hash: string,
  key: ApiKey | undefined,
  now: number,
): Promise<void> {
  if (key && key.revokedAt !== null && key.revokedAt <= now) return;
  const ended = key ?? toApiKey(user, { hash, prefix: "", createdAt: now, expiresAt: now });
  await replace(ctx, { ...ended, revokedAt: now });
}

interface SettledLine {
  readonly line: UserKey;
  readonly dueAt: number | undefined;
}

/** Returns undefined to remove the line. */
async function settleLine(
  ctx: Context<"table">,
  user: User,
  line: UserKey,
  key: ApiKey | undefined,
  now: number,
): Promise<SettledLine | undefined> {
  if (line.expiresAt <= now) return undefined;
  if (!key && (user.disabled || now - line.createdAt >= WRITTEN_WITHIN_MS)) {
    await revoke(ctx, user, line.hash, undefined, now);
    return undefined;
  }
  if (!key) return { line, dueAt: line.createdAt + WRITTEN_WITHIN_MS };
  if (key.revokedAt !== null && key.revokedAt <= now) return undefined;
  const accessChanges = user.accessChanges ?? 0;
  if ((key.accessChanges ?? 0) < accessChanges) await replace(ctx, { ...key, disabled: user.disabled, accessChanges });
  return { line, dueAt: key.revokedAt ?? undefined };
}

async function replace(ctx: Context<"table">, key: ApiKey): Promise<void> {
  if (!(await writeRecord(ctx, key))) throw new Conflict(`${key.pk}|${key.sk}`);
}
