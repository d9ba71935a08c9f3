import type { Context } from "../context.ts";
import { userKey, usersPartition } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { type ListedUser, parseListedUser, parseUser, type User } from "../users/record.ts";

export interface UserView extends Pick<User, "username" | "number" | "disabled"> {
  readonly keys: number;
  readonly webSessions: number;
  /** When the newest of these was issued, ms. null if the user has none that works. */
  readonly lastIssuedAt: number | null;
}

export interface UserPage {
  readonly users: readonly UserView[];
  readonly total: number;
}

/** Lists users by name. A page has less than `limit` if records of it cannot be read. */
export async function listUsers(
  ctx: Context<"table">,
  { limit, offset }: { readonly limit: number; readonly offset: number },
): Promise<UserPage> {
  const listed = await readEntries(ctx);
  const uids = listed.slice(offset, offset + limit).map(({ uid }) => uid);
  const found = uids.length === 0 ? [] : readable(ctx, await ctx.table.getMany(uids.map(userKey)), parseUser);
  const byUid = new Map(found.map((user) => [user.uid, user]));
  const now = ctx.clock.now();
  return { users: uids.flatMap((uid) => toView(byUid.get(uid), now)), total: listed.length };
}

/** Makes one query per MB, which holds some 5,000 entries. */
async function readEntries(ctx: Context<"table">): Promise<ListedUser[]> {
  const found: ListedUser[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query(after === undefined ? { pk: usersPartition } : { pk: usersPartition, after });
    found.push(...readable(ctx, page.items, parseListedUser));
    after = page.next;
  } while (after !== undefined);
  return found;
}

function toView(user: User | undefined, now: number): UserView[] {
  if (!user) return [];
  const { username, number, disabled } = user;
  const living = user.keys.filter(({ expiresAt }) => expiresAt > now);
  const webSessions = living.filter(({ isWeb }) => isWeb).length;
  const lastIssuedAt = living.length === 0 ? null : Math.max(...living.map(({ createdAt }) => createdAt));
  return [{ username, number, disabled, keys: living.length - webSessions, webSessions, lastIssuedAt }];
}
