import type { Context } from "../../context.ts";
import { isSize } from "../../environments/record/parse.ts";
import { keyOf, type Size } from "../../environments/record/record.ts";
import { endOfLine, readWaitOrder } from "../../environments/record/wait-order.ts";
import type { IndexQuery, Item } from "../../ports/table.ts";
import { keyText } from "../../store/keys.ts";
import type { Waiting } from "../plan/plan.ts";

/** Somebody who is proposed for a grant. */
export interface Candidate extends Waiting {
  /** The key of its record, as a message carries it. */
  readonly key: string;
  readonly size: Size;
}

/** How far a plan read the lines of the owners: who stands behind that waits for a later one. */
export interface Reach {
  /** It began behind this owner's line; null: with the first one. */
  readonly begin: string | null;
  /** The owner whose line it read last, where more owners wait than one plan reads; null: it read them all. */
  readonly last: string | null;
  /** Since when the first that was not read waits, by its owner, whose line is longer than what was read. */
  readonly cut: Readonly<Record<string, number>>;
}

export interface Lines {
  readonly candidates: readonly Candidate[];
  readonly reach: Reach;
  /** Those who were read and are not proposed, for the counts that people are shown. */
  readonly behind: { readonly count: number; readonly units: number };
}

/**
 * What one plan considers (docs/architecture/admission.md), and how many entries it reads before it passes over the
 * rest of a line.
 */
const PLANNED_FOR = 2_000;
const MOST_OF_ONE = 50;
const MOST_OWNERS = 200;
/** What is read of each owner from then on, in one query that leads to the next. */
const LEAST_PAGE = 100;

interface Line {
  readonly entries: Candidate[];
  /** Those after them: since when the first waits, how many they are and what they ask for. */
  rest: { readonly since: number; count: number; units: number } | undefined;
}

/**
 * Who waits, as the index proposes it, read owner by owner: of each the oldest few, so that no line, however long, hides
 * another. Those who have capacity already are passed over. Where more owners wait than one plan reads, it begins after
 * the owner with which the one before ended, so that everybody's turn comes.
 */
export async function readLines(
  ctx: Context<"table">,
  type: string,
  begin: string | null,
  occupied: ReadonlySet<string>,
): Promise<Lines> {
  const lines = new Map<string, Line>();
  const reading = { lines, occupied, entries: 0 };
  const read = (range: Range) => readRange(ctx, type, range, reading);
  await read(begin === null ? {} : { from: endOfLine(begin) });
  if (begin !== null && lines.size <= MOST_OWNERS) await read({ to: endOfLine(begin) });

  const all = [...lines].slice(0, MOST_OWNERS);
  const share = Math.min(MOST_OF_ONE, Math.floor(PLANNED_FOR / Math.max(1, all.length)));
  const cut = all.flatMap(([owner, { entries, rest }]) => {
    const since = entries[share]?.queuedAt ?? rest?.since;
    return since === undefined ? [] : [[owner, since] as const];
  });
  const last = lines.size > MOST_OWNERS ? (all.at(-1)?.[0] ?? null) : null;
  return {
    candidates: all.flatMap(([, { entries }]) => entries.slice(0, share)),
    behind: {
      count: sum(all.map(([, { entries, rest }]) => Math.max(0, entries.length - share) + (rest?.count ?? 0))),
      units: sum(all.map(([, { entries, rest }]) => unitsOf(entries.slice(share)) + (rest?.units ?? 0))),
    },
    reach: { begin: last === null ? null : begin, last, cut: Object.fromEntries(cut) },
  };
}

/** Whether somebody who stands there is known to wait for a later plan. */
export function isBehind(reach: Reach, waitOrder: string | undefined): boolean {
  const standing = readWaitOrder(waitOrder);
  if (!standing) return false;
  const { owner, queuedAt } = standing;
  const since = Object.hasOwn(reach.cut, owner) ? reach.cut[owner] : undefined;
  if (since !== undefined) return queuedAt >= since;
  return !readsOwner(reach, owner);
}

/** Reports whether the plan read the line of this owner. */
export function readsOwner({ begin, last }: Reach, owner: string): boolean {
  if (last === null) return true;
  const [isAfterBegin, isUpToLast] = [begin === null || owner > begin, owner <= last];
  const hasWrapped = begin !== null && last <= begin;
  return hasWrapped ? isAfterBegin || isUpToLast : isAfterBegin && isUpToLast;
}

type Range = Pick<IndexQuery, "from" | "to">;

interface Reading {
  readonly lines: Map<string, Line>;
  readonly occupied: ReadonlySet<string>;
  /** How many were read so far. */
  entries: number;
}

async function readRange(ctx: Context<"table">, partition: string, range: Range, reading: Reading): Promise<void> {
  const { lines } = reading;
  let place: Pick<IndexQuery, "from" | "after"> | undefined = {};
  while (place && lines.size <= MOST_OWNERS) {
    const left = PLANNED_FOR - reading.entries;
    const query: IndexQuery = { index: "waiting", partition, ...range, ...place, limit: Math.max(LEAST_PAGE, left) };
    const { items, next } = await ctx.table.query(query);
    reading.entries += items.length;
    for (const item of items) add(reading, item);
    if (next === undefined) return;
    const owner = readWaitOrder(items.at(-1)?.waitOrder)?.owner;
    const isCut = reading.entries >= PLANNED_FOR && owner !== undefined && lines.get(owner)?.rest !== undefined;
    place = isCut ? { from: endOfLine(owner) } : { ...place, after: next };
  }
}

function add({ lines, occupied }: Reading, item: Item): void {
  const standing = readWaitOrder(item.waitOrder);
  if (!standing || !isSize(item.size)) return;
  const { owner, queuedAt, uid } = standing;
  const line = lines.get(owner) ?? { entries: [], rest: undefined };
  lines.set(owner, line);
  if (occupied.has(uid)) return;
  if (line.entries.length === MOST_OF_ONE) {
    line.rest ??= { since: queuedAt, count: 0, units: 0 };
    line.rest.count += 1;
    line.rest.units += unitsOf([{ size: item.size }]);
    return;
  }
  const zone = typeof item.zone === "string" ? item.zone : null;
  line.entries.push({ uid, owner, size: item.size, zone, queuedAt, key: keyText(keyOf(item)) });
}

function unitsOf(entries: readonly Pick<Candidate, "size">[]): number {
  return sum(entries.map(({ size }) => size.machines * size.units));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
