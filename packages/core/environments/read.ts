import type { UserContext } from "../context.ts";
import { environmentKey, environmentsOf } from "../keys.ts";
import { Problem } from "../problem.ts";
import { readable } from "../readable.ts";
import { type Environment, isEnded, parseEnvironment } from "./record.ts";

/** The caller's environment of this id; throws `notFound`. */
export async function getEnvironment(ctx: UserContext<"table">, id: string): Promise<Environment> {
  const found = await findEnvironment(ctx, id);
  if (!found) throw new Problem("notFound", `${capitalized(ctx.noun)} ${id} not found`);
  return found;
}

/** The caller's environment of this id, or undefined. Another owner's is simply not there. */
export async function findEnvironment(ctx: UserContext<"table">, id: string): Promise<Environment | undefined> {
  const item = await ctx.table.get(environmentKey(ctx.actor.uid, ctx.dialect, id));
  if (!item) return undefined;
  const environment = parseEnvironment(item);
  return environment.phase === "deleted" ? undefined : environment;
}

/** Of the ended ones the newest this many are kept in sight (design section 5). */
const ENDED_SHOWN = 1000;

/**
 * All of the caller's environments, newest first: one query for each started MB. Those that cannot be read are left out.
 */
export async function listEnvironments(ctx: UserContext<"table">): Promise<Environment[]> {
  const found: Environment[] = [];
  let ended = 0;
  let after: string | undefined;
  do {
    const query = { pk: environmentsOf(ctx.actor.uid, ctx.dialect), newestFirst: true };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    for (const environment of readable(ctx, page.items, parseEnvironment)) {
      if (environment.phase === "deleted") continue;
      if (isEnded(environment)) ended += 1;
      if (!isEnded(environment) || ended <= ENDED_SHOWN) found.push(environment);
    }
    after = page.next;
  } while (after !== undefined);
  return found;
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
