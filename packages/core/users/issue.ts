import type { Context } from "../context.ts";
import { apiKeyKey, keyText } from "../keys.ts";
import { sendLook } from "../look.ts";
import { putIf } from "../put-if.ts";
import { type ApiKey, findUser, keyOfUser, type User, type UserKey } from "./record.ts";

/** A key as it is shown once, to the one who asked for it. */
export interface IssuedKey {
  readonly secret: string;
  readonly prefix: string;
  readonly expiresAt: number;
  readonly ttlHours: number;
}

const SECRET_BYTES = 64;
const PREFIX_LENGTH = 8;
const MOST_LIVE_KEYS = 10;
const HOUR_MS = 3_600_000;
/** Kept past its end, so that expired is not unknown (design section 3). */
const KEPT_MS = 7 * 24 * HOUR_MS;
const TRIES = 10;

/** Makes a key: first into its user's record, where the oldest of more than 10 is set to end, then the key itself. */
export async function issueKey(ctx: Context<"table" | "queue">, user: User): Promise<IssuedKey> {
  const secret = ctx.ids.secret(SECRET_BYTES);
  const now = ctx.clock.now();
  const { keyTtlHours } = ctx.settings;
  const expiresAt = now + keyTtlHours * HOUR_MS;
  const prefix = secret.slice(0, PREFIX_LENGTH);
  const listed: UserKey = { hash: ctx.ids.hash(secret), prefix, createdAt: now, expiresAt };
  const owner = await listKey(ctx, user, listed);
  const key: ApiKey = {
    ...apiKeyKey(listed.hash),
    version: 1,
    kind: "key",
    uid: owner.uid,
    username: owner.username,
    number: owner.number,
    prefix,
    createdAt: now,
    expiresAt,
    revokedAt: null,
    disabled: false,
    loginAt: now,
    ttl: Math.ceil((expiresAt + KEPT_MS) / 1000),
  };
  await ctx.table.put(key, { ifVersion: 0 });
  if (owner.revoking.length > 0) await sendLook(ctx, keyOfUser(owner));
  return { secret, prefix, expiresAt, ttlHours: keyTtlHours };
}

async function listKey(ctx: Context<"table">, first: User, key: UserKey): Promise<User> {
  let user: User | undefined = first;
  for (let tries = 0; user && tries < TRIES; tries++) {
    const now = ctx.clock.now();
    const live = [...user.keys.filter((one) => one.expiresAt > now), key];
    const over = live.slice(0, Math.max(0, live.length - MOST_LIVE_KEYS));
    const revoking = [...user.revoking, ...over.map((one) => one.hash)];
    const dueAt = revoking.length > 0 ? now : user.dueAt;
    const next: User = { ...user, version: user.version + 1, keys: live.slice(-MOST_LIVE_KEYS), revoking, dueAt };
    if (await putIf(ctx, next, user.version)) return next;
    user = await findUser(ctx, user.uid);
  }
  throw new Error(`User record ${first.pk} is too contended: ${keyText(first)}`);
}
