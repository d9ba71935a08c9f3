import type { UserContext } from "../context.ts";
import { environmentKey, environmentsOf } from "../keys.ts";
import { Problem } from "../problem.ts";
import { readable } from "../readable.ts";
import { parseEnvironment } from "./parse.ts";
import { type Environment, isEnded } from "./record.ts";

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
  return isShown(environment, ctx.clock.now()) ? environment : undefined;
}

function isShown({ phase, ttl }: Environment, now: number): boolean {
  return phase !== "deleted" && (ttl === undefined || ttl * 1000 > now);
}

/** How many ended environments of one owner and kind are kept (design section 5). */
export const MOST_KEPT = 1_000;

/**
 * All of the caller's environments, of the ended ones the newest 1,000, newest id first: one query for each started MB.
 * Those that cannot be read are left out.
 */
export async function listEnvironments(ctx: UserContext<"table">): Promise<Environment[]> {
  const found: Environment[] = [];
  let after: string | undefined;
  do {
    const query = { pk: environmentsOf(ctx.actor.uid, ctx.dialect), newestFirst: true };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    const now = ctx.clock.now();
    found.push(...readable(ctx, page.items, parseEnvironment).filter((environment) => isShown(environment, now)));
    after = page.next;
  } while (after !== undefined);
  const ends = found.filter(isEnded).map((environment) => environment.end.at ?? 0);
  const oldest = ends.sort((a, b) => b - a)[MOST_KEPT - 1] ?? 0;
  return found.filter((environment) => !isEnded(environment) || (environment.end.at ?? 0) >= oldest);
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
