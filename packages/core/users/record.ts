import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { apiKeyKey, userKey, usernameKey } from "../store/keys.ts";
import { count, flag, listOf, number, optional, ordinal, orNull, shape, text, uid } from "../store/shape.ts";
import { parserOf } from "../store/unreadable.ts";

/** A live key as its user's record knows it; the clear key is nowhere. Times are ms. */
export interface UserKey {
  readonly hash: string;
  readonly prefix: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** The hash of the key that it took the place of. */
  readonly replaces?: string | undefined;
}

export interface User extends Stored {
  readonly kind: "user";
  readonly uid: string;
  /** The integer that login answers with. */
  readonly number: number;
  readonly username: string;
  readonly disabled: boolean;
  /** How often it was disabled or enabled: a key follows the higher number, so that a late worker changes nothing. */
  readonly accessChanges?: number | undefined;
  /** At most 10, the oldest first, and besides them those that work on for a minute after a rotation. */
  readonly keys: readonly UserKey[];
  /** Hashes of keys that shall end; reconcile ends them. */
  readonly revoking: readonly string[];
  readonly attempts: number;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
}

/** `key#<sha256>`: the only item that a request reads to know who asks. Times are ms. */
export interface ApiKey extends Stored {
  readonly kind: "key";
  readonly uid: string;
  readonly username: string;
  readonly number: number;
  readonly prefix: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** May lie in the future while a rotated key still works. */
  readonly revokedAt: number | null;
  readonly disabled: boolean;
  /** Up to which change of its user `disabled` is right. */
  readonly accessChanges?: number | undefined;
  /** When it was used last, to the hour; the login that issued it counts. */
  readonly lastUsedAt?: number | undefined;
  /** When the AWS login was that this chain of keys began with. */
  readonly loginAt: number;
  /** The AWS role of that login; absent in keys from before it was noted. */
  readonly role?: string | undefined;
  readonly ttl: number;
}

/** Who has a username. */
export interface NameClaim extends Stored {
  readonly kind: "username";
  readonly uid: string;
  readonly identity: string;
}

/** Throws `Unreadable`: a name that cannot be read is somebody's. */
export const parseNameClaim: (item: Item) => NameClaim = parserOf("username", { uid, identity: text });

export async function findUser(ctx: Context<"table">, uid: string): Promise<User | undefined> {
  const item = await ctx.table.get(userKey(uid));
  return item && parseUser(item);
}

/** Throws `notFound`. */
export async function getUserByName(ctx: Context<"table">, username: string): Promise<User> {
  const claim = await ctx.table.get(usernameKey(username));
  const user = claim && (await findUser(ctx, parseNameClaim(claim).uid));
  if (!user) throw new Problem("notFound", `User '${username.slice(0, 100)}' not found`);
  return user;
}

export async function findApiKey(ctx: Context<"table">, hash: string): Promise<ApiKey | undefined> {
  const item = await ctx.table.get(apiKeyKey(hash));
  return item && parseApiKey(item);
}

/** Throws `Unreadable` for anything that this version did not write. */
export const parseUser: (item: Item) => User = parserOf(
  "user",
  {
    uid,
    number: ordinal,
    username: text,
    disabled: flag,
    accessChanges: optional(count),
    keys: listOf(
      shape<UserKey>({ hash: text, prefix: text, createdAt: number, expiresAt: number, replaces: optional(text) }),
    ),
    revoking: listOf(text),
    attempts: count,
    dueShard: text,
    dueAt: optional(number),
  },
  { "its key is another's": ({ pk, uid: own }) => pk === userKey(own).pk },
);

/** Throws `Unreadable` for anything that this version did not write. */
export const parseApiKey: (item: Item) => ApiKey = parserOf("key", {
  uid,
  username: text,
  number: ordinal,
  prefix: text,
  createdAt: number,
  expiresAt: number,
  revokedAt: orNull(number),
  disabled: flag,
  accessChanges: optional(count),
  lastUsedAt: optional(number),
  loginAt: number,
  role: optional(text),
  ttl: number,
});

/** Part of `Key` so that callers need not know how a user's key is made. */
export function keyOfUser(user: Pick<User, "uid">): Key {
  return userKey(user.uid);
}
