import type { Context } from "../../context.ts";
import { isSize } from "../../environments/record/parse.ts";
import { type Size, toKey } from "../../environments/record/record.ts";
import { endOfLine, readWaitOrder } from "../../environments/record/wait-order.ts";
import type { IndexQuery, Item } from "../../ports/table.ts";
import { keyText } from "../../store/keys.ts";
import type { Waiting } from "../plan/plan.ts";
import type { Pool } from "./record.ts";

export interface Candidate extends Waiting {
  readonly key: string;
  readonly size: Size;
}

/** How far a plan read the owners' lines. Later plans read the rest. */
export interface ScanWindow {
  /** The owner after whose line it began, or null for the first line. */
  readonly begin: string | null;
  /** The owner whose line it read last, or null if it read all lines. */
  readonly last: string | null;
  /** For each owner whose line was cut: when the first job that was not read began to wait. */
  readonly cut: Readonly<Record<string, number>>;
}

export interface Lines {
  readonly candidates: readonly Candidate[];
  readonly reach: ScanWindow;
  /** Jobs that were read but not proposed, for the counts shown to users. */
  readonly behind: { readonly count: number; readonly units: number };
}

/**
 * The most jobs, jobs per owner, and owners that one plan considers (docs/architecture/admission.md). `PLANNED_FOR`
 * also limits the entries read before the rest of a line is skipped.
 */
const PLANNED_FOR = 2_000;
const MOST_OF_ONE = 50;
const MOST_OWNERS = 200;
/** Page size once `PLANNED_FOR` entries are read. Each further query reads one owner. */
const LEAST_PAGE = 100;

interface Line {
  readonly entries: Candidate[];
  /** The jobs after `entries`: since when the first waits, their number, and their units. */
  rest: { readonly since: number; count: number; units: number } | undefined;
}

/**
 * Reads the waiting jobs from the index, the oldest few of each owner, so that no long line hides another. Jobs that
 * already have capacity are skipped. If more owners wait than one plan reads, it begins after the last owner of the
 * plan before, so that every owner gets a turn.
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
      units: sum(all.map(([, { entries, rest }]) => getUnits(entries.slice(share)) + (rest?.units ?? 0))),
    },
    reach: { begin: last === null ? null : begin, last, cut: Object.fromEntries(cut) },
  };
}

/** Reports whether a job with this wait order is known to wait for a later plan. */
export function isBehind(reach: ScanWindow, waitOrder: string | undefined): boolean {
  const standing = readWaitOrder(waitOrder);
  if (!standing) return false;
  const { owner, queuedAt } = standing;
  const since = Object.hasOwn(reach.cut, owner) ? reach.cut[owner] : undefined;
  if (since !== undefined) return queuedAt >= since;
  return !readsOwner(reach, owner);
}

function readsOwner({ begin, last }: ScanWindow, owner: string): boolean {
  if (last === null) return true;
  const [isAfterBegin, isUpToLast] = [begin === null || owner > begin, owner <= last];
  const hasWrapped = begin !== null && last <= begin;
  return hasWrapped ? isAfterBegin || isUpToLast : isAfterBegin && isUpToLast;
}

type Range = Pick<IndexQuery, "from" | "to">;

interface Reading {
  readonly lines: Map<string, Line>;
  readonly occupied: ReadonlySet<string>;
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
    line.rest.units += getUnits([{ size: item.size }]);
    return;
  }
  const zone = typeof item.zone === "string" ? item.zone : null;
  line.entries.push({ uid, owner, size: item.size, zone, queuedAt, key: keyText(toKey(item)) });
}

function getUnits(entries: readonly Pick<Candidate, "size">[]): number {
  return sum(entries.map(({ size }) => size.machines * size.units));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * Progress of plans through the waiting owners, if more owners wait than one plan reads. Absent while one plan reads
 * all of them, and while the pool is closed.
 */
export interface Round {
  /** The owner after which the round's first plan began, or null for the first owner. */
  readonly begin: string | null;
  /** When that plan was made, ms. */
  readonly begunAt: number;
  /** When the last complete round without a fitting job began, ms. null before such a round is complete. */
  readonly settledAt: number | null;
}

/** Returns the round after a plan. `isChanged`: a job may fit now that did not fit before. */
export function nextRound(
  before: Round | undefined,
  reach: ScanWindow,
  isChanged: boolean,
  now: number,
): Round | undefined {
  if (reach.last === null) return undefined;
  if (!before || isChanged) return { begin: reach.begin, begunAt: now, settledAt: null };
  if (!readsOwner(reach, before.begin ?? "")) return before;
  return { begin: reach.last, begunAt: now, settledAt: before.begunAt };
}

/**
 * Reports whether a job arrived after the last complete round began and this plan does not read its owner. No plan of
 * that round saw the job, and the next round takes minutes.
 */
export function isNewcomer({ round }: Pick<Pool, "round">, reach: ScanWindow, waitOrder: string | undefined): boolean {
  const standing = readWaitOrder(waitOrder);
  if (!standing || readsOwner(reach, standing.owner)) return false;
  return standing.queuedAt > (round?.settledAt ?? Infinity);
}
