import type { Context } from "../../../context.ts";
import type { BoundNode, ComputeNode } from "../../../ports/compute.ts";
import type { Item, Stored } from "../../../ports/table.ts";
import { runMarksKey } from "../../../store/keys.ts";
import { FORMAT, isNewer } from "../../../store/unreadable.ts";
import type { Environment } from "../record.ts";

/**
 * Marks that the latest listing showed, in one of 16 items by the first hex digit of the environment's uid. An item that
 * would exceed `MOST_MARKS` is written empty, and 16 items by the first two digits hold its marks. Each write is
 * unconditional, because an item is true as of its own `at`.
 */
export interface RunMarks extends Stored {
  readonly kind: "run-marks";
  /** Only a newer version knows what an item of a higher format says. */
  readonly format: number;
  /** When the listing began, ms: what changed since is not in it. */
  readonly at: number;
  /** The mark of each run, by its uid and number, both shortened. */
  readonly marks: Readonly<Record<string, string>>;
}

type RunId = { readonly uid: string; readonly run: number };

/**
 * Machines are listed each minute, which takes some seconds. What is older comes from a listing after which one failed.
 */
const MOST_OLD_MS = 75_000;
/** How far the clocks of two hosts may be apart: what is said to come from later is not believed. */
const CLOCKS_MS = 17_000;
/** Marks per item: each look reads a whole item. With two digits this is room for 512,000 runs; the rest are observed. */
const MOST_MARKS = 2_000;

/**
 * A text that stays the same while nothing changes that `observe` would show of a run, and is that of no other run.
 * Undefined: the compute says of one of its machines that only `observe` tells.
 */
export function markOf(
  { ids }: Context,
  run: number,
  machines: readonly Pick<BoundNode, "uid" | "mark">[],
): string | undefined {
  if (machines.length === 0 || machines.some(({ mark }) => mark === undefined)) return undefined;
  const texts = machines.map(({ uid, mark }) => `${uid} ${mark}`).sort();
  return ids.hash(JSON.stringify([run, ...texts])).slice(0, MARK_LENGTH);
}

const MARK_LENGTH = 12;

/** Writes the marks of a listing that began at `at`. Logs a failure: looks then observe. */
export async function writeRunMarks(ctx: Context<"table">, listed: readonly ComputeNode[], at: number): Promise<void> {
  const runs = Map.groupBy(marksIn(ctx, listed), ([{ uid }]) => uid.slice(0, 1));
  try {
    const before = await ctx.table.getMany(digits.map(runMarksKey));
    // An item is also written when its last run is gone, or its old marks would be believed for a minute. Items of a newer
    // version are that version's to write.
    const present = (digit: string) => before.find(({ pk }) => pk === runMarksKey(digit).pk);
    const wanted = digits.filter((digit) => {
      const item = present(digit);
      return item ? !isNewer(item) : runs.has(digit);
    });
    const marked = wanted.map((digit) => [digit, runs.get(digit) ?? []] as const);
    // First the marks, then the empty items: a look in between would find no mark, and observe.
    await writeEach(
      ctx,
      marked.flatMap(([, some]) => splitItems(some, at)),
    );
    await writeEach(
      ctx,
      marked.map(([digit, some]) => itemOf(digit, isSplit(some) ? [] : some, at)),
    );
  } catch (error) {
    ctx.log.warn("marks of runs not kept", { error: String(error) });
  }
}

const digits = [..."0123456789abcdef"];
/** Writes in flight. */
const AT_ONCE = 50;

type MarkedRun = readonly [RunId, string];

async function writeEach(ctx: Context<"table">, items: readonly RunMarks[]): Promise<void> {
  for (let first = 0; first < items.length; first += AT_ONCE)
    await Promise.all(items.slice(first, first + AT_ONCE).map((item) => ctx.table.put(item)));
}

function isSplit(runs: readonly MarkedRun[]): boolean {
  return runs.length > MOST_MARKS;
}

/** Returns the items of two digits; none where one item of one digit holds all marks. */
function splitItems(runs: readonly MarkedRun[], at: number): RunMarks[] {
  if (!isSplit(runs)) return [];
  return [...Map.groupBy(runs, ([{ uid }]) => uid.slice(0, 2))].map(([twoDigits, some]) => itemOf(twoDigits, some, at));
}

function itemOf(digits: string, runs: readonly MarkedRun[], at: number): RunMarks {
  const marks = Object.fromEntries(runs.slice(0, MOST_MARKS).map(([id, mark]) => [nameOf(id), mark]));
  return { ...runMarksKey(digits), writers: [], kind: "run-marks", format: FORMAT, at, marks };
}

/** Reports whether a fresh listing shows the run as it was when a look last observed it and had nothing left to do. */
export async function isAsObserved(
  ctx: Context<"table">,
  { uid, run: { n: run, mark } }: { readonly uid: string; readonly run: Pick<Environment["run"], "n" | "mark"> },
  now: number,
): Promise<boolean> {
  if (mark === undefined) return false;
  const name = nameOf({ uid, run });
  const first = await readMarks(ctx, uid.slice(0, 1));
  // The item of two digits may be left over from a listing with more runs: it counts only if it is not the older one.
  if (!first) return false;
  const second = first.marks[name] === undefined ? await readMarks(ctx, uid.slice(0, 2)) : undefined;
  const seen = second && second.at >= first.at ? second : first;
  if (seen.at > now + CLOCKS_MS || now - seen.at > MOST_OLD_MS) return false;
  return seen.marks[name] === mark;
}

async function readMarks(ctx: Context<"table">, digits: string): Promise<Pick<RunMarks, "at" | "marks"> | undefined> {
  const item = await ctx.table.get(runMarksKey(digits));
  return item && seenIn(item);
}

/** What is something else, or of a newer version, says nothing. */
function seenIn(item: Item): Pick<RunMarks, "at" | "marks"> | undefined {
  const { kind, at, marks } = item;
  const isReadable = kind === "run-marks" && !isNewer(item) && typeof at === "number";
  return isReadable && typeof marks === "object" && marks !== null ? { at, marks: { ...marks } } : undefined;
}

/** Each run once, with the marks of all its machines that are listed. */
function marksIn(ctx: Context, listed: readonly ComputeNode[]): [RunId, string][] {
  const parts = listed.flatMap((node) => (node.runs ?? []).map((part) => ({ ...part, node: node.uid })));
  const runs = Map.groupBy(parts, nameOf);
  return [...runs.values()].flatMap((machines): [RunId, string][] => {
    const [first] = machines;
    const mark = markOf(
      ctx,
      first?.run ?? 0,
      machines.map((part) => ({ uid: part.node, mark: part.mark })),
    );
    return first && mark !== undefined ? [[first, mark]] : [];
  });
}

/** Names a run by 64 random bits, which no two of so many runs share. */
function nameOf({ uid, run }: RunId): string {
  return `${uid.slice(0, 16)}.${run}`;
}
