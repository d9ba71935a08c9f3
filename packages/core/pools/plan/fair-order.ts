import { popHeap, pushHeap } from "../../heap.ts";

export interface Ordered {
  readonly uid: string;
  readonly owner: string;
  readonly queuedAt: number;
}

interface Line<T> {
  readonly entries: readonly T[];
  first: T;
  at: number;
  /** Units that its owner held when the line was queued. */
  units: number;
  readonly used: number;
}

/** The waiting jobs and what orders them, apart from the units that their owners hold. */
export interface WaitingLine<T extends Ordered> {
  readonly waiting: readonly T[];
  /** The job that stays first until it is granted. */
  readonly head: string | null;
  /** Recent use by owner. */
  readonly used?: ReadonlyMap<string, number> | undefined;
}

/**
 * Yields waiting jobs in admission order: the head, then owners with the fewest units, then the least recent use, then
 * the oldest, then uid (docs/architecture/admission.md#fairness). The caller must add each grant to `usage` before it
 * asks for the next job.
 */
export function* fairOrder<T extends Ordered>(
  { waiting, head, used = new Map() }: WaitingLine<T>,
  usage: ReadonlyMap<string, number>,
): Generator<T, void> {
  const first = waiting.find((entry) => entry.uid === head);
  if (first) yield first;
  const heap: Line<T>[] = [];
  for (const [owner, entries] of linesByOwner(waiting, first)) {
    const [oldest] = entries;
    const line = { entries, at: 0, units: usage.get(owner) ?? 0, used: used.get(owner) ?? 0 };
    if (oldest) pushHeap(heap, { ...line, first: oldest }, before);
  }
  for (let line = popHeap(heap, before); line; line = popHeap(heap, before)) {
    const { owner } = line.first;
    yield line.first;
    const next = line.entries[++line.at];
    if (!next) continue;
    line.first = next;
    line.units = usage.get(owner) ?? 0;
    pushHeap(heap, line, before);
  }
}

/** Orders jobs of one owner: oldest first, ties by uid. */
export function byAge(a: Ordered, b: Ordered): number {
  return a.queuedAt - b.queuedAt || (a.uid < b.uid ? -1 : 1);
}

function linesByOwner<T extends Ordered>(waiting: readonly T[], besides: T | undefined): ReadonlyMap<string, T[]> {
  const lines = new Map<string, T[]>();
  for (const entry of waiting) {
    if (entry === besides) continue;
    const line = lines.get(entry.owner);
    if (line) line.push(entry);
    if (!line) lines.set(entry.owner, [entry]);
  }
  for (const line of lines.values()) line.sort(byAge);
  return lines;
}

function before<T extends Ordered>(a: Line<T>, b: Line<T>): boolean {
  return (a.units - b.units || a.used - b.used || byAge(a.first, b.first)) < 0;
}
