import type { Context, UserContext } from "../context.ts";
import type { Action } from "../environments/record/changes/actions.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { findIds, type Listed, type ListQuery, listEnvironments, pickFields } from "../environments/record/read.ts";
import { isEnded } from "../environments/record/record.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import type { Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { environmentsPartition, userKey } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { getUserByName, parseUser } from "../users/record.ts";
import { listLivingKeys } from "./living.ts";

/**
 * Lists environments of this dialect, newest first: all of one user, consistently, or the living ones of all owners
 * (see `listLivingKeys`). Throws `notFound` for an unknown user.
 */
export async function listAnybodys(
  ctx: UserContext<"table">,
  username: string | undefined,
  query: ListQuery,
): Promise<Listed> {
  if (username !== undefined) return listEnvironments(inName(ctx, (await getUserByName(ctx, username)).uid), query);
  const keys = (await listLivingKeys(ctx)).filter((key) => getOwner(ctx, key) !== undefined);
  const found = readable(ctx, await ctx.table.getMany(keys), parseEnvironment);
  // Ended environments stay in the index for ten minutes, but their capacity is already free.
  const going = found.filter((environment) => !isEnded(environment));
  return pickFields(going, query);
}

/**
 * Cancels an environment on behalf of its owner, who reads the reason. With a username it also reaches ended environments and ones missing in
 * the index. Throws `notFound`, or `conflict` if it ended otherwise or its owner is ambiguous.
 */
export async function cancelAnybodys(
  ctx: UserContext<"table" | "queue">,
  id: string,
  { username, reason }: { readonly username: string | undefined; readonly reason: string | undefined },
): Promise<Action> {
  const owner = username === undefined ? await findOwner(ctx, id) : (await getUserByName(ctx, username)).uid;
  return requestCancel(inName(ctx, owner), id, `Cancelled by the operator${reason === undefined ? "" : `: ${reason}`}`);
}

/**
 * Returns at most two ids with this prefix, enough to tell whether it is unique: of one user, or of all living
 * environments. Throws `notFound` for an unknown user.
 */
export async function findAnybodysIds(
  ctx: UserContext<"table">,
  beginning: string,
  username: string | undefined,
): Promise<string[]> {
  if (username !== undefined) return findIds(inName(ctx, (await getUserByName(ctx, username)).uid), beginning);
  const keys = (await listLivingKeys(ctx)).filter((key) => getOwner(ctx, key) !== undefined);
  const ids = keys.map(({ sk }) => sk).filter((id) => id.startsWith(beginning));
  return [...new Set(ids)].slice(0, 2);
}

/** Returns the usernames of these owners. Unreadable users are left out. */
export async function readUsernames(
  ctx: Context<"table">,
  owners: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const keys = [...new Set(owners)].map(userKey);
  if (keys.length === 0) return new Map();
  const users = readable(ctx, await ctx.table.getMany(keys), parseUser);
  return new Map(users.map(({ uid, username }) => [uid, username]));
}

/** Finds the owner of an id. Ids are unique per owner only, so several owners may have the same. */
async function findOwner(ctx: UserContext<"table">, id: string): Promise<string> {
  const keys = (await listLivingKeys(ctx)).filter((key) => key.sk === id);
  const [owner, otherOwner] = keys.flatMap((key) => getOwner(ctx, key) ?? []);
  if (otherOwner !== undefined) {
    const text = `Several users have a ${ctx.noun} ${id}: name the user`;
    throw new Problem("conflict", text, { errorCode: "ambiguous" });
  }
  // A uid that does not exist, so the answer is that of an unknown id.
  return owner ?? "-";
}

function getOwner(ctx: UserContext<"table">, key: Key): string | undefined {
  const owner = key.pk.split("#")[1] ?? "";
  return key.pk === environmentsPartition(owner, ctx.dialect) ? owner : undefined;
}

function inName<Ctx extends UserContext<"table">>(ctx: Ctx, owner: string): Ctx {
  return { ...ctx, actor: { ...ctx.actor, uid: owner } };
}
