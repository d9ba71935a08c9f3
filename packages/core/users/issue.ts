import type { Context, UserContext } from "../context.ts";
import { Conflict, Problem } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { apiKeyKey } from "../store/keys.ts";
import { changeRecord, writeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";
import { endKey, isLive } from "./keys.ts";
import { type ApiKey, findApiKey, findUser, keyOfUser, type User, type UserKey } from "./record.ts";

/** A new key with its secret, which is shown once and never stored. */
export interface IssuedKey {
  readonly secret: string;
  readonly prefix: string;
  readonly hash: string;
  readonly expiresAt: number;
  readonly ttlHours: number;
}

export interface KeyChain {
  readonly loginAt: number;
  /** No key of the chain lives longer. */
  readonly endsAt: number;
  readonly replaces?: string;
}

/** The chain of a browser's session, whose key lives until the chain ends. */
export interface WebChain extends KeyChain {
  readonly isWeb: true;
}

const SECRET_BYTES = 64;
const PREFIX_LENGTH = 8;
/** docs/apis/common.md#limits. */
export const MOST_LIVE_KEYS = 10;
export const MOST_WEB_KEYS = 5;
/** Keeps "expired" apart from "unknown" (docs/apis/common.md#keys). */
const KEPT_MS = 7 * 24 * HOUR_MS;
/** By then the new key is written, and the overlap of a rotated key is over. */
const SETTLED_MS = 60_000;
const TRIES = 10;
/** A key is not rotated twice within this time. Later, the caller may have lost the first answer. */
const ROTATION_MS = 15_000;

/**
 * Issues a key: first in the user's record, then the key itself. `role` is the AWS role of the login. Throws
 * `forbidden` for a disabled user, `conflict` right after another rotation of the same key.
 */
export async function issueKey(
  ctx: Context<"table" | "queue">,
  user: User,
  role: string | undefined,
  chain?: KeyChain | WebChain,
): Promise<IssuedKey> {
  // A program would take a prefix that begins with a dash as an option, as in `berth keys revoke -eXAMPLE`.
  const secret = ctx.ids.secret(SECRET_BYTES).replace(/^-/, "_");
  const now = ctx.clock.now();
  const { keyTtlHours } = ctx.settings;
  const isWeb = chain && "isWeb" in chain ? chain.isWeb : undefined;
  const lifetimeMs = isWeb ? Number.POSITIVE_INFINITY : keyTtlHours * HOUR_MS;
  const expiresAt = Math.min(now + lifetimeMs, chain?.endsAt ?? Number.POSITIVE_INFINITY);
  const prefix = secret.slice(0, PREFIX_LENGTH);
  const hash = ctx.ids.hash(secret);
  const listed: UserKey = { hash, prefix, createdAt: now, expiresAt, replaces: chain?.replaces, isWeb };
  const owner = await listKey(ctx, user, listed);
  const key: ApiKey = { ...toApiKey(owner, listed), loginAt: chain?.loginAt ?? now, role };
  if (!(await writeRecord(ctx, key))) throw new Conflict(key.pk);
  if (owner.revoking.length > 0) await requestReconcile(ctx, keyOfUser(owner));
  return { secret, prefix, hash, expiresAt, ttlHours: keyTtlHours };
}

export function toApiKey(user: User, { hash, prefix, createdAt, expiresAt, isWeb }: UserKey): ApiKey {
  return {
    ...apiKeyKey(hash),
    writers: [],
    kind: "key",
    uid: user.uid,
    username: user.username,
    number: user.number,
    prefix,
    createdAt,
    expiresAt,
    revokedAt: null,
    disabled: user.disabled,
    accessChanges: user.accessChanges ?? 0,
    lastUsedAt: createdAt,
    loginAt: createdAt,
    isWeb,
    ttl: Math.ceil((expiresAt + KEPT_MS) / 1000),
  };
}

async function listKey(ctx: Context<"table">, first: User, key: UserKey): Promise<User> {
  let knownUser: User | undefined = first;
  const { replaces } = key;
  const list = (user: User): User => {
    if (user.disabled) throw new Problem("forbidden", "User account is disabled", { errorCode: "user_disabled" });
    const now = ctx.clock.now();
    refuseSecondRotation(user, replaces, now);
    const living = user.keys.filter((key) => key.expiresAt > now);
    const counted = living.filter((other) => other.hash !== replaces && other.isWeb === key.isWeb);
    const most = key.isWeb ? MOST_WEB_KEYS : MOST_LIVE_KEYS;
    const over = counted.slice(0, Math.max(0, counted.length + 1 - most));
    const revoking = [...user.revoking, ...over.map((key) => key.hash)];
    const keys = [...living.filter((key) => !over.includes(key)), key];
    const settledAt = now + Math.max(SETTLED_MS, ctx.settings.keyOverlapSeconds * 1000);
    const dueAt = revoking.length > 0 ? now : Math.min(user.dueAt ?? settledAt, settledAt);
    return { ...user, keys, revoking, dueAt };
  };
  const { record } = await changeRecord(ctx, {
    async read() {
      const user = knownUser ?? (await findUser(ctx, first.uid));
      knownUser = undefined;
      return user;
    },
    decide: (user) => user && list(user),
    what: `User '${first.username}' is`,
    tries: TRIES,
  });
  if (!record) throw new Error(`User ${first.uid} disappeared`);
  return record;
}

function refuseSecondRotation({ keys }: User, replaces: string | undefined, now: number): void {
  const rotated = keys.findLast((key) => replaces !== undefined && key.replaces === replaces);
  const waitMs = (rotated?.createdAt ?? 0) + ROTATION_MS - now;
  if (!rotated || waitMs <= 0) return;
  const retryAfterSeconds = Math.ceil(waitMs / 1000);
  const text = `API key was rotated by another request just now. If its answer is lost, try again in ${retryAfterSeconds} s`;
  throw new Problem("conflict", text, { retryAfterSeconds });
}

/**
 * Exchanges the caller's key for a new one (docs/apis/gpu-dev.md#api-keys). The old key is ended last, so the caller
 * always has a working one. Throws `unauthenticated` when the chain or the key is over, `forbidden` for a disabled
 * user.
 */
export async function rotateKey(ctx: UserContext<"table" | "queue">): Promise<{ user: User; key: IssuedKey }> {
  const { keyHash, uid } = ctx.actor;
  const [old, user] = await Promise.all([findApiKey(ctx, keyHash), findUser(ctx, uid)]);
  const now = ctx.clock.now();
  if (!old || !user) throw new Problem("unauthenticated", "Invalid API key");
  requireLive(old, now);
  refuseWebKey(old);
  const endsAt = old.loginAt + ctx.settings.keyChainHours * HOUR_MS;
  if (endsAt <= now) {
    throw new Problem("unauthenticated", "API key can no longer be rotated. Log in with AWS again", {
      errorCode: "key_expired",
    });
  }
  const key = await issueKey(ctx, user, old.role, { loginAt: old.loginAt, endsAt, replaces: keyHash });
  // Start the overlap after the new key is written: other processes of the user still use the old key.
  const overlapEndsAt = ctx.clock.now() + ctx.settings.keyOverlapSeconds * 1000;
  if ((await endKey(ctx, keyHash, overlapEndsAt)) === "over") {
    // The old key was revoked during the rotation. End the new key, which no caller has seen.
    await endKey(ctx, key.hash, now);
    throw new Problem("unauthenticated", "API key has been revoked", { errorCode: "key_revoked" });
  }
  return { user, key };
}

/**
 * Refuses the key of a browser's session. A script that got into a page could otherwise take a key or a code out of
 * the browser, and use it for longer than the page is open.
 */
export function refuseWebKey(key: ApiKey): void {
  if (!key.isWeb) return;
  throw new Problem("conflict", "A browser's session cannot issue keys or codes. Use the key of a command line");
}

/** Rechecks the key, because authentication may have used a copy up to 5 s old. */
export function requireLive(key: ApiKey, now: number): void {
  if (isLive(key, now)) return;
  const isExpired = key.expiresAt <= now;
  throw new Problem("unauthenticated", isExpired ? "API key has expired" : "API key has been revoked", {
    errorCode: isExpired ? "key_expired" : "key_revoked",
  });
}
