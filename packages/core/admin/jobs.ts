import type { Context, UserContext } from "../context.ts";
import type { Action } from "../environments/record/changes/actions.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Asked, findIds, type Listed, listEnvironments, partOf } from "../environments/record/read.ts";
import { isEnded } from "../environments/record/record.ts";
import { requestCancel } from "../environments/verbs/requests.ts";
import type { Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { environmentsOf, userKey } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { getUserByName, parseUser } from "../users/record.ts";
import { listLivingKeys } from "./living.ts";

/**
 * Environments of this dialect, newest first: all that one user ever had, consistently, or those of all owners that
 * are not done (see `listLivingKeys`). Throws `notFound` for a user who does not exist.
 */
export async function listAnybodys(
  ctx: UserContext<"table">,
  username: string | undefined,
  asked: Asked,
): Promise<Listed> {
  if (username !== undefined) return listEnvironments(inNameOf(ctx, (await getUserByName(ctx, username)).uid), asked);
  const keys = (await listLivingKeys(ctx)).filter((key) => ownerOf(ctx, key) !== undefined);
  const found = readable(ctx, await ctx.table.getMany(keys), parseEnvironment);
  // Who ended is still looked at for ten minutes: what it had was given back before.
  const going = found.filter((environment) => !isEnded(environment));
  return partOf(going, asked);
}

/**
 * Asks for the end of anybody's environment, as its owner could. Who names the user reaches what the index does not
 * show yet, and what is done. Throws `notFound`, or `conflict` when it ended in another way or its owner is not clear.
 */
export async function cancelAnybodys(
  ctx: UserContext<"table" | "queue">,
  id: string,
  username: string | undefined,
): Promise<Action> {
  const owner = username === undefined ? await findOwner(ctx, id) : (await getUserByName(ctx, username)).uid;
  return requestCancel(inNameOf(ctx, owner), id, "Cancelled by the operator");
}

/**
 * The ids of environments that begin like this, at most two: enough to know whether it is one. Of one user, or of all
 * that are not done. Throws `notFound` for a user who does not exist.
 */
export async function findAnybodysIds(
  ctx: UserContext<"table">,
  beginning: string,
  username: string | undefined,
): Promise<string[]> {
  if (username !== undefined) return findIds(inNameOf(ctx, (await getUserByName(ctx, username)).uid), beginning);
  const keys = (await listLivingKeys(ctx)).filter((key) => ownerOf(ctx, key) !== undefined);
  const ids = keys.map(({ sk }) => sk).filter((id) => id.startsWith(beginning));
  return [...new Set(ids)].slice(0, 2);
}

/** The usernames of these owners; who cannot be read is left out. */
export async function readUsernames(
  ctx: Context<"table">,
  owners: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const keys = [...new Set(owners)].map(userKey);
  if (keys.length === 0) return new Map();
  const users = readable(ctx, await ctx.table.getMany(keys), parseUser);
  return new Map(users.map(({ uid, username }) => [uid, username]));
}

/** Ids are unique per owner only, so that nothing keeps two owners from having the same. */
async function findOwner(ctx: UserContext<"table">, id: string): Promise<string> {
  const keys = (await listLivingKeys(ctx)).filter((key) => key.sk === id);
  const [owner, other] = keys.flatMap((key) => ownerOf(ctx, key) ?? []);
  if (other !== undefined) {
    const text = `Several users have a ${ctx.noun} ${id}: name the user`;
    throw new Problem("conflict", text, { errorCode: "ambiguous" });
  }
  // A uid that nobody has: the answer is then that of an id that does not exist.
  return owner ?? "-";
}

function ownerOf(ctx: UserContext<"table">, key: Key): string | undefined {
  const owner = key.pk.split("#")[1] ?? "";
  return key.pk === environmentsOf(owner, ctx.dialect) ? owner : undefined;
}

function inNameOf<Ctx extends UserContext<"table">>(ctx: Ctx, owner: string): Ctx {
  return { ...ctx, actor: { ...ctx.actor, uid: owner } };
}
