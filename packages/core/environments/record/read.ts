import type { UserContext } from "../../context.ts";
import type { Item, Key } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { environmentKey, environmentsPartition } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { parseEnvironment } from "./parse.ts";
import { type Environment, isEnded } from "./record.ts";

export async function getEnvironment(ctx: UserContext<"table">, id: string): Promise<Environment> {
  const found = await findEnvironment(ctx, id);
  if (!found) throw new Problem("notFound", `${capitalized(ctx.noun)} ${id} not found`);
  return found;
}

/** Returns undefined for a missing environment, or one of another owner. */
export async function findEnvironment(ctx: UserContext<"table">, id: string): Promise<Environment | undefined> {
  const item = await ctx.table.get(environmentKey(ctx.actor.uid, ctx.dialect, id));
  if (!item) return undefined;
  const environment = parseEnvironment(item);
  return isShown(environment, ctx.clock.now()) ? environment : undefined;
}

/** Returns at most two ids of the caller with this prefix, which is enough to tell whether it is unambiguous. */
export async function findIds(ctx: UserContext<"table">, beginning: string): Promise<string[]> {
  const briefs = await readBriefs(ctx, beginning);
  const shown = briefs.filter((item) => isBrief(item) && isShown(item, ctx.clock.now()));
  return shown.map(({ sk }) => sk).slice(0, 2);
}

function isShown({ phase, ttl }: Pick<Environment, "phase" | "ttl">, now: number): boolean {
  return phase !== "deleted" && (ttl === undefined || ttl * 1000 > now);
}

/** Ended environments listed per owner and dialect (docs/architecture/table.md). */
export const MOST_KEPT = 1_000;

export interface Brief extends Key, Pick<Environment, "uid" | "phase" | "step" | "createdAt" | "ttl"> {
  readonly name?: string | undefined;
  readonly end: Pick<Environment["end"], "at" | "outcome">;
}

export interface ListQuery {
  readonly matches?: (brief: Brief) => boolean;
  readonly offset?: number;
  readonly limit?: number;
}

export interface Listed<Head = Environment> {
  readonly shown: Head[];
  readonly total: number;
}

/**
 * Lists matching environments, newest first. Reads full heads only for the page. Unreadable ones count but are not
 * shown.
 */
export async function listEnvironments(ctx: UserContext<"table">, query: ListQuery = {}): Promise<Listed> {
  const briefs = kept((await readBriefs(ctx)).filter(isBrief), ctx.clock.now());
  const { shown: keys, total } = pickFields(briefs, query);
  const heads = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const found = new Map(readable(ctx, heads, parseEnvironment).map((environment) => [environment.sk, environment]));
  // The head may have changed since its brief was read.
  const isShownStill = (head: Environment) => isShown(head, ctx.clock.now()) && (query.matches?.(head) ?? true);
  return { shown: keys.flatMap(({ sk }) => found.get(sk) ?? []).filter(isShownStill), total };
}

export function pickFields<Head extends Brief>(
  all: readonly Head[],
  { matches = () => true, offset = 0, limit = all.length }: ListQuery,
): Listed<Head> {
  const matching = all.filter(matches).toSorted(newestFirst);
  return { shown: matching.slice(offset, offset + limit), total: matching.length };
}

/** Makes one query per MB. */
async function readBriefs(ctx: UserContext<"table">, prefix?: string): Promise<Item[]> {
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const all = { pk: environmentsPartition(ctx.actor.uid, ctx.dialect), newestFirst: true, brief: true };
    const query = prefix === undefined ? all : { ...all, prefix };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return found;
}

function kept<Head extends Pick<Brief, "phase" | "ttl" | "end">>(heads: readonly Head[], now: number): Head[] {
  const shown = heads.filter((head) => isShown(head, now));
  const ends = shown.filter(isEnded).map(({ end }) => end.at ?? 0);
  const oldest = ends.sort((a, b) => b - a)[MOST_KEPT - 1] ?? 0;
  return shown.filter((head) => !isEnded(head) || (head.end.at ?? 0) >= oldest);
}

function newestFirst(left: Brief, right: Brief): number {
  return right.createdAt - left.createdAt || (left.sk < right.sk ? 1 : -1);
}

/** Checks only what counting needs; the head itself is parsed when it is shown. */
function isBrief(item: Item): item is Item & Brief {
  const { kind, uid, phase, createdAt, end } = item;
  const isHead = kind === "environment" && typeof uid === "string" && typeof phase === "string";
  return isHead && typeof createdAt === "number" && typeof end === "object" && end !== null && "outcome" in end;
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
