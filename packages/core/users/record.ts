import type { Context } from "../context.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { apiKeyKey, userKey, usernameKey } from "../store/keys.ts";
import { count, flag, list, mark, number, optional, ordinal, orNull, shape, text, uid } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { type Writing, writeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";

/** A live key in its user's record. The secret is not stored. Times are ms. */
export interface UserKey {
  readonly hash: string;
  readonly prefix: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly replaces?: string | undefined;
  /** Set for the key of a browser's session. */
  readonly isWeb?: true | undefined;
}

export interface User extends Stored {
  readonly kind: "user";
  readonly uid: string;
  /** The integer in the answer to a login. */
  readonly number: number;
  readonly username: string;
  readonly disabled: boolean;
  /** Number of changes of `disabled`. A key ignores a lower number, so a late worker changes nothing. */
  readonly accessChanges?: number | undefined;
  /** At most 10 and 5 of browsers, oldest first, plus rotated keys during their overlap. */
  readonly keys: readonly UserKey[];
  readonly revoking: readonly string[];
  readonly attempts: number;
  readonly dueShard: string;
  readonly dueAt?: number | undefined;
}

/** `key#<sha256>`: the only item that authentication reads. Times are ms. */
export interface ApiKey extends Stored {
  readonly kind: "key";
  readonly uid: string;
  readonly username: string;
  readonly number: number;
  readonly prefix: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Lies in the future while a rotated key still works. */
  readonly revokedAt: number | null;
  readonly disabled: boolean;
  /** The `accessChanges` of the user that `disabled` reflects. */
  readonly accessChanges?: number | undefined;
  /** Time of the last use, to the hour, starting with the login. */
  readonly lastUsedAt?: number | undefined;
  readonly loginAt: number;
  /** The AWS role of that login; absent in keys of earlier versions. */
  readonly role?: string | undefined;
  /** Set for the key of a browser's session, which is accepted in its cookie only. */
  readonly isWeb?: true | undefined;
  readonly ttl: number;
}

export interface NameClaim extends Stored {
  readonly kind: "username";
  readonly uid: string;
  readonly identity: string;
}

/** The entry of a user in the list of all users, under the username. */
export interface ListedUser extends Stored {
  readonly kind: "listed-user";
  readonly uid: string;
}

export const parseListedUser: (item: Item) => ListedUser = createParser("listed-user", { uid });

/** Throws `Unreadable`, because an unreadable name still belongs to a user. */
export const parseNameClaim: (item: Item) => NameClaim = createParser("username", { uid, identity: text });

export async function findUser(ctx: Context<"table">, uid: string): Promise<User | undefined> {
  const item = await ctx.table.get(userKey(uid));
  return item && parseUser(item);
}

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

export const parseUser: (item: Item) => User = createParser(
  "user",
  {
    uid,
    number: ordinal,
    username: text,
    disabled: flag,
    accessChanges: optional(count),
    keys: list(
      shape<UserKey>({
        hash: text,
        prefix: text,
        createdAt: number,
        expiresAt: number,
        replaces: optional(text),
        isWeb: mark,
      }),
    ),
    revoking: list(text),
    attempts: count,
    dueShard: text,
    dueAt: optional(number),
  },
  { "its key does not match its fields": ({ pk, uid: userUid }) => pk === userKey(userUid).pk },
);

export const parseApiKey: (item: Item) => ApiKey = createParser("key", {
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
  isWeb: mark,
  ttl: number,
});

export function keyOfUser(user: Pick<User, "uid">): Key {
  return userKey(user.uid);
}

/** Records that a key is in use, at most once an hour. Ignores failures: the next request tries again. */
export async function noteUse(ctx: Writing, key: Item, now: number): Promise<void> {
  const knownLastUsedAt = typeof key.lastUsedAt === "number" ? key.lastUsedAt : key.createdAt;
  if (typeof knownLastUsedAt === "number" && now - knownLastUsedAt <= HOUR_MS) return;
  await writeRecord(ctx, { ...key, lastUsedAt: now }).catch(() => undefined);
}
