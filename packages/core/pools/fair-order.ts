import { popHeap, pushHeap } from "../heap.ts";

/** Somebody who waits, as far as the order is concerned. */
export interface Ordered {
  readonly uid: string;
  readonly owner: string;
  readonly queuedAt: number;
}

interface Line<T> {
  readonly entries: readonly T[];
  readonly at: number;
  /** What its owner held when the line was put in. */
  readonly units: number;
}

/**
 * Yields those who wait in admission's order: owners with the fewest units first, then the oldest, then uid
 * (design section 3). The consumer adds to `usage` what it gives before it asks for the next one.
 */
export function* fairOrder<T extends Ordered>(
  waiting: readonly T[],
  usage: ReadonlyMap<string, number>,
): Generator<T, void> {
  const heap: Line<T>[] = [];
  for (const entries of linesByOwner(waiting)) {
    pushHeap(heap, { entries, at: 0, units: usage.get(entries[0]?.owner ?? "") ?? 0 }, before);
  }
  for (let line = popHeap(heap, before); line; line = popHeap(heap, before)) {
    const entry = line.entries[line.at];
    if (!entry) continue;
    yield entry;
    pushHeap(heap, { entries: line.entries, at: line.at + 1, units: usage.get(entry.owner) ?? 0 }, before);
  }
}

/** Oldest first, ties by uid: the order within one owner. */
export function byAge(a: Ordered, b: Ordered): number {
  return a.queuedAt - b.queuedAt || (a.uid < b.uid ? -1 : 1);
}

function linesByOwner<T extends Ordered>(waiting: readonly T[]): Iterable<T[]> {
  const lines = new Map<string, T[]>();
  for (const entry of [...waiting].sort(byAge)) {
    const line = lines.get(entry.owner);
    if (line) line.push(entry);
    if (!line) lines.set(entry.owner, [entry]);
  }
  return lines.values();
}

function before<T extends Ordered>(a: Line<T>, b: Line<T>): boolean {
  const [first, second] = [a.entries[a.at], b.entries[b.at]];
  if (!first || !second) return first !== undefined;
  return a.units !== b.units ? a.units < b.units : byAge(first, second) < 0;
}
