import type { Context } from "../../../context.ts";
import type { BoundNode, ComputeNode } from "../../../ports/compute.ts";
import type { Item, Stored } from "../../../ports/table.ts";
import { runMarksKey } from "../../../store/keys.ts";
import { FORMAT, isNewer } from "../../../store/unreadable.ts";
import type { Environment } from "../record.ts";

/**
 * Marks of the latest listing, in 16 items by the first hex digit of the uid. An item over `MOST_MARKS` is written
 * empty, and 16 items by two digits replace it. Writes are unconditional: `at` says when an item was true.
 */
export interface RunMarks extends Stored {
  readonly kind: "run-marks";
  readonly format: number;
  /** Start of the listing, ms. Later changes are not in it. */
  readonly at: number;
  /** Mark by run, named by its shortened uid and its number. */
  readonly marks: Readonly<Record<string, string>>;
}

type RunId = { readonly uid: string; readonly run: number };

/** Listings run each minute and take some seconds. An older one means that a later listing failed. */
const MOST_OLD_MS = 75_000;
/** Maximum clock skew of two hosts. Marks from further in the future are ignored. */
const CLOCKS_MS = 17_000;
/**
 * Marks per item, which each reconcile reads as a whole. Two digits make room for 512,000 runs; the rest are observed.
 */
const MOST_MARKS = 2_000;

/** Returns a text that changes whenever `observe` would show a change. Undefined if only `observe` can tell. */
export function computeDigest(
  { ids }: Context,
  run: number,
  machines: readonly Pick<BoundNode, "uid" | "mark">[],
): string | undefined {
  if (machines.length === 0 || machines.some(({ mark }) => mark === undefined)) return undefined;
  const texts = machines.map(({ uid, mark }) => `${uid} ${mark}`).sort();
  return ids.hash(JSON.stringify([run, ...texts])).slice(0, MARK_LENGTH);
}

const MARK_LENGTH = 12;

/** Writes the marks of a listing that began at `at`. Only logs a failure: reconciles then observe. */
export async function writeRunMarks(ctx: Context<"table">, listed: readonly ComputeNode[], at: number): Promise<void> {
  const runs = Map.groupBy(marksIn(ctx, listed), ([{ uid }]) => uid.slice(0, 1));
  try {
    const before = await ctx.table.getMany(digits.map(runMarksKey));
    // Write empty items too, or their old marks stay valid for a minute. Skip items of a newer version.
    const present = (digit: string) => before.find(({ pk }) => pk === runMarksKey(digit).pk);
    const wanted = digits.filter((digit) => {
      const item = present(digit);
      return item ? !isNewer(item) : runs.has(digit);
    });
    const marked = wanted.map((digit) => [digit, runs.get(digit) ?? []] as const);
    // Write the split items before the empty ones: a reconcile in between finds no mark, and observes.
    await writeEach(
      ctx,
      marked.flatMap(([, some]) => splitItems(some, at)),
    );
    await writeEach(
      ctx,
      marked.map(([digit, some]) => toItem(digit, isSplit(some) ? [] : some, at)),
    );
  } catch (error) {
    ctx.log.warn("marks of runs not kept", { error: String(error) });
  }
}

const digits = [..."0123456789abcdef"];
const AT_ONCE = 50;

type MarkedRun = readonly [RunId, string];

async function writeEach(ctx: Context<"table">, items: readonly RunMarks[]): Promise<void> {
  for (let first = 0; first < items.length; first += AT_ONCE)
    await Promise.all(items.slice(first, first + AT_ONCE).map((item) => ctx.table.put(item)));
}

function isSplit(runs: readonly MarkedRun[]): boolean {
  return runs.length > MOST_MARKS;
}

function splitItems(runs: readonly MarkedRun[], at: number): RunMarks[] {
  if (!isSplit(runs)) return [];
  return [...Map.groupBy(runs, ([{ uid }]) => uid.slice(0, 2))].map(([twoDigits, some]) => toItem(twoDigits, some, at));
}

function toItem(digits: string, runs: readonly MarkedRun[], at: number): RunMarks {
  const marks = Object.fromEntries(runs.slice(0, MOST_MARKS).map(([id, mark]) => [formatRun(id), mark]));
  return { ...runMarksKey(digits), writers: [], kind: "run-marks", format: FORMAT, at, marks };
}

/**
 * Reports whether a fresh listing shows the run as it was when a reconcile last observed it and had nothing left to do.
 */
export async function matchesDigest(
  ctx: Context<"table">,
  { uid, run: { n: run, mark } }: { readonly uid: string; readonly run: Pick<Environment["run"], "n" | "mark"> },
  now: number,
): Promise<boolean> {
  if (mark === undefined) return false;
  const name = formatRun({ uid, run });
  const first = await readMarks(ctx, uid.slice(0, 1));
  // The item by two digits may be left over from a larger listing, so it counts only if it is not older.
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

function seenIn(item: Item): Pick<RunMarks, "at" | "marks"> | undefined {
  const { kind, at, marks } = item;
  const isReadable = kind === "run-marks" && !isNewer(item) && typeof at === "number";
  return isReadable && typeof marks === "object" && marks !== null ? { at, marks: { ...marks } } : undefined;
}

function marksIn(ctx: Context, listed: readonly ComputeNode[]): [RunId, string][] {
  const parts = listed.flatMap((node) => (node.runs ?? []).map((part) => ({ ...part, node: node.uid })));
  const runs = Map.groupBy(parts, formatRun);
  return [...runs.values()].flatMap((machines): [RunId, string][] => {
    const [first] = machines;
    const mark = computeDigest(
      ctx,
      first?.run ?? 0,
      machines.map((part) => ({ uid: part.node, mark: part.mark })),
    );
    return first && mark !== undefined ? [[first, mark]] : [];
  });
}

/** Names a run by 64 random bits of its uid, which makes collisions negligible. */
function formatRun({ uid, run }: RunId): string {
  return `${uid.slice(0, 16)}.${run}`;
}
