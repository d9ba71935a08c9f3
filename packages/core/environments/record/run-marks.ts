import type { Context } from "../../context.ts";
import { runMarksKey } from "../../keys.ts";
import type { BoundNode, ComputeNode } from "../../ports/compute.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { FORMAT, isNewer } from "../../unreadable.ts";
import type { Environment } from "./record.ts";

/**
 * What the latest listing of the machines showed of the runs on them: one of 16 items, by the first digit of their uids.
 * They are written with each listing, without a condition: whatever one says is true as of its own time.
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
/** One item has so many marks. A run that is left out is observed. */
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

/** Writes what a listing that began at `at` shows of the runs. A failure is logged: looks then observe. */
export async function writeRunMarks(ctx: Context<"table">, listed: readonly ComputeNode[], at: number): Promise<void> {
  const runs = Map.groupBy(marksIn(ctx, listed), ([{ uid }]) => uid.slice(0, 1));
  try {
    const before = await ctx.table.getMany(digits.map(runMarksKey));
    // One that shows no run any more says so: what it said before would be believed for a minute. What a newer version
    // keeps is that version's to write.
    const present = (digit: string) => before.find(({ pk }) => pk === runMarksKey(digit).pk);
    const wanted = digits.filter((digit) => {
      const item = present(digit);
      return item ? !isNewer(item) : runs.has(digit);
    });
    await Promise.all(wanted.map((digit) => ctx.table.put(itemOf(digit, runs.get(digit) ?? [], at))));
  } catch (error) {
    ctx.log.warn("marks of runs not kept", { error: String(error) });
  }
}

const digits = [..."0123456789abcdef"];

function itemOf(digit: string, runs: readonly (readonly [RunId, string])[], at: number): RunMarks {
  const marks = Object.fromEntries(runs.slice(0, MOST_MARKS).map(([id, mark]) => [nameOf(id), mark]));
  return { ...runMarksKey(digit), writers: [], kind: "run-marks", format: FORMAT, at, marks };
}

/** Whether a fresh listing shows the run as it was when a look last observed it and had nothing left to do. */
export async function isAsObserved(
  ctx: Context<"table">,
  { uid, run: { n: run, mark } }: Pick<Environment, "uid" | "run">,
  now: number,
): Promise<boolean> {
  if (mark === undefined) return false;
  const item = await ctx.table.get(runMarksKey(uid.slice(0, 1)));
  const seen = item && seenIn(item);
  if (!seen || seen.at > now + CLOCKS_MS || now - seen.at > MOST_OLD_MS) return false;
  return seen.marks[nameOf({ uid, run })] === mark;
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
