import type { UserContext } from "../../context.ts";
import type { Item, Key } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { environmentKey, environmentsOf } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
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

/** The ids of the caller's environments that begin like this, at most two: enough to know whether it is one. */
export async function findIds(ctx: UserContext<"table">, beginning: string): Promise<string[]> {
  const briefs = await readBriefs(ctx, beginning);
  const shown = briefs.filter((item) => isBrief(item) && isShown(item, ctx.clock.now()));
  return shown.map(({ sk }) => sk).slice(0, 2);
}

function isShown({ phase, ttl }: Pick<Environment, "phase" | "ttl">, now: number): boolean {
  return phase !== "deleted" && (ttl === undefined || ttl * 1000 > now);
}

/** How many ended environments of one owner and kind are kept (docs/architecture/table.md). */
export const MOST_KEPT = 1_000;

/** What lists sort and filter by, of a head that nobody has parsed. */
export interface Brief extends Key, Pick<Environment, "uid" | "phase" | "step" | "createdAt" | "ttl"> {
  /** Absent where earlier code wrote the record last. */
  readonly name?: string | undefined;
  readonly end: Pick<Environment["end"], "at" | "outcome">;
}

/** Without a limit all that match. */
export interface Asked {
  readonly matches?: (brief: Brief) => boolean;
  readonly offset?: number;
  readonly limit?: number;
}

export interface Listed<Head = Environment> {
  readonly shown: Head[];
  /** How many match in all. */
  readonly total: number;
}

/**
 * The caller's environments that match, or a part of them, the newest first. It costs the reading of every one in
 * brief, and of the heads only those that are shown. What cannot be read is not shown, and counts.
 */
export async function listEnvironments(ctx: UserContext<"table">, asked: Asked = {}): Promise<Listed> {
  const briefs = kept((await readBriefs(ctx)).filter(isBrief), ctx.clock.now());
  const { shown: keys, total } = partOf(briefs, asked);
  const heads = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const found = new Map(readable(ctx, heads, parseEnvironment).map((environment) => [environment.sk, environment]));
  // It may have moved on since its brief was read.
  const isShownStill = (head: Environment) => isShown(head, ctx.clock.now()) && (asked.matches?.(head) ?? true);
  return { shown: keys.flatMap(({ sk }) => found.get(sk) ?? []).filter(isShownStill), total };
}

/** Answers the part of all heads that was asked for, the newest first. */
export function partOf<Head extends Brief>(
  all: readonly Head[],
  { matches = () => true, offset = 0, limit = all.length }: Asked,
): Listed<Head> {
  const matching = all.filter(matches).toSorted(newestFirst);
  return { shown: matching.slice(offset, offset + limit), total: matching.length };
}

/** One query for each started MB. */
async function readBriefs(ctx: UserContext<"table">, prefix?: string): Promise<Item[]> {
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const all = { pk: environmentsOf(ctx.actor.uid, ctx.dialect), newestFirst: true, brief: true };
    const query = prefix === undefined ? all : { ...all, prefix };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return found;
}

/** Those that are shown, of the ended ones the newest 1,000. */
function kept<Head extends Pick<Brief, "phase" | "ttl" | "end">>(heads: readonly Head[], now: number): Head[] {
  const shown = heads.filter((head) => isShown(head, now));
  const ends = shown.filter(isEnded).map(({ end }) => end.at ?? 0);
  const oldest = ends.sort((a, b) => b - a)[MOST_KEPT - 1] ?? 0;
  return shown.filter((head) => !isEnded(head) || (head.end.at ?? 0) >= oldest);
}

function newestFirst(one: Brief, other: Brief): number {
  return other.createdAt - one.createdAt || (one.sk < other.sk ? 1 : -1);
}

/** Enough to count it: whether the head can be read is seen when it is shown. */
function isBrief(item: Item): item is Item & Brief {
  const { kind, uid, phase, createdAt, end } = item;
  const isHead = kind === "environment" && typeof uid === "string" && typeof phase === "string";
  return isHead && typeof createdAt === "number" && typeof end === "object" && end !== null && "outcome" in end;
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
