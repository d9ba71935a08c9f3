import type { Context, UserContext } from "../context.ts";
import { Problem } from "../problem.ts";
import { apiKeyKey } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { changeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";
import { type ApiKey, findApiKey, findUser, parseApiKey, type User } from "./record.ts";

export type KeyKind = "login" | "rotation" | "web";

export interface KeyView {
  readonly prefix: string;
  readonly kind: KeyKind;
  readonly createdAt: number;
  /** End of the key, or of its overlap after a rotation. */
  readonly worksUntil: number;
  readonly lastUsedAt: number;
  readonly current: boolean;
}

export async function listKeys(ctx: UserContext<"table">): Promise<KeyView[]> {
  const user = await findUser(ctx, ctx.actor.uid);
  const items = await ctx.table.getMany((user?.keys ?? []).map(({ hash }) => apiKeyKey(hash)));
  const now = ctx.clock.now();
  const live = readable(ctx, items, parseApiKey).filter((key) => isLive(key, now));
  return live.sort((left, right) => left.createdAt - right.createdAt).map((key) => toView(key, ctx.actor.keyHash));
}

export interface OwnKey {
  readonly prefix: string;
  readonly kind: KeyKind;
  readonly worksUntil: number;
  /** Latest end of any key of this chain of rotations. */
  readonly chainEndsAt: number;
}

/** Returns the key that authenticated the request. Throws `unauthenticated` once the table has dropped it. */
export async function getOwnKey(ctx: UserContext<"table">): Promise<OwnKey> {
  const { keyHash } = ctx.actor;
  const key = await findApiKey(ctx, keyHash);
  if (!key) throw new Problem("unauthenticated", "Invalid API key");
  const { prefix, kind, worksUntil } = toView(key, keyHash);
  return { prefix, kind, worksUntil, chainEndsAt: getChainEnd(ctx, key) };
}

/** Returns the latest end of any key of this chain. */
export function getChainEnd(
  { settings }: Pick<Context, "settings">,
  key: Pick<ApiKey, "expiresAt" | "loginAt">,
): number {
  return Math.max(key.expiresAt, key.loginAt + settings.keyChainHours * HOUR_MS);
}

function getKind({ isWeb, loginAt, createdAt }: ApiKey): KeyKind {
  if (isWeb) return "web";
  return loginAt === createdAt ? "login" : "rotation";
}

function toView(key: ApiKey, presentedHash: string): KeyView {
  const { prefix, createdAt, expiresAt, revokedAt, lastUsedAt = createdAt } = key;
  const worksUntil = Math.min(expiresAt, revokedAt ?? expiresAt);
  const current = key.pk === apiKeyKey(presentedHash).pk;
  return { prefix, kind: getKind(key), createdAt, worksUntil, lastUsedAt, current };
}

/** Revokes a key of the caller, possibly the one in use: the key first, then its line. Throws `notFound`. */
export async function revokeKey(ctx: UserContext<"table">, prefix: string): Promise<void> {
  const user = await findUser(ctx, ctx.actor.uid);
  const hashes = (user?.keys ?? []).filter((line) => line.prefix === prefix).map(({ hash }) => hash);
  const ended = await Promise.all(hashes.map((hash) => endKey(ctx, hash, ctx.clock.now())));
  if (!ended.includes("ended")) throw new Problem("notFound", `API key '${prefix.slice(0, 100)}' not found`);
  await strikeOut(ctx, user, hashes);
}

/** Ends the browser's session of this request. Throws `conflict` for any other key. */
export async function signOut(ctx: UserContext<"table">): Promise<void> {
  const { keyHash, uid } = ctx.actor;
  const [key, user] = await Promise.all([findApiKey(ctx, keyHash), findUser(ctx, uid)]);
  if (key && !key.isWeb) {
    throw new Problem(
      "conflict",
      "This request has no browser's session. Revoke its key with DELETE /v1/keys/{prefix}",
    );
  }
  await endKey(ctx, keyHash, ctx.clock.now());
  await strikeOut(ctx, user, [keyHash]);
}

export function isLive(key: ApiKey, now: number): boolean {
  return key.expiresAt > now && (key.revokedAt === null || key.revokedAt > now);
}

const TRIES = 10;

/** Ends a key at `at` unless it ends sooner. Returns `over` if it had already ended or does not exist. */
export async function endKey(ctx: Context<"table">, hash: string, at: number): Promise<"ended" | "over"> {
  const { record } = await changeRecord(ctx, {
    read: () => findApiKey(ctx, hash),
    decide(key): ApiKey | undefined {
      if (!key || !isLive(key, ctx.clock.now())) return undefined;
      return { ...key, revokedAt: Math.min(at, key.revokedAt ?? at) };
    },
    what: "The API key is",
    tries: TRIES,
  });
  return record ? "ended" : "over";
}

/** If this write is lost, the user's next reconcile removes the lines; until then, no list shows them. */
async function strikeOut(ctx: Context<"table">, first: User | undefined, hashes: readonly string[]): Promise<void> {
  let knownUser = first;
  await changeRecord(ctx, {
    async read() {
      const user = knownUser ?? (first && (await findUser(ctx, first.uid)));
      knownUser = undefined;
      return user;
    },
    decide: (user): User | undefined =>
      user && { ...user, keys: user.keys.filter(({ hash }) => !hashes.includes(hash)) },
    what: "Your API keys are",
    tries: TRIES,
  });
}
