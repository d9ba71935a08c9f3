import { heapify, popHeap, pushHeap } from "../../heap.ts";

/** Numbers by when what they stand for ends. */
export interface EndHeap {
  push(index: number, endsAt: number): void;
  /** Infinity: nothing ends any more. */
  nextAt(): number;
  /** The one that ends next; -1: none. */
  pop(): number;
}

/** A run ends after a few of them as a rule, so only those of the present span are kept in order. */
const SPANS = 64;

/** Begins with the numbers of the first `count` ends, and keeps in `ends` what is pushed. Infinity never ends. */
export function endHeap(ends: Float64Array, count: number): EndHeap {
  let [begin, end] = [Infinity, -Infinity];
  for (let index = 0; index < count; index++) {
    const at = ends[index] ?? Infinity;
    if (at < begin) begin = at;
    if (at > end && at < Infinity) end = at;
  }
  const spans: number[][] = Array.from({ length: SPANS }, () => []);
  const spanOf = (at: number) =>
    Math.max(0, Math.min(SPANS - 1, Math.floor(((at - begin) / (end - begin)) * SPANS) || 0));
  const isEarlier = (a: number, b: number) => ((ends[a] ?? 0) - (ends[b] ?? 0) || a - b) < 0;
  for (let index = 0; index < count; index++) {
    const at = ends[index] ?? Infinity;
    if (at < Infinity) spans[spanOf(at)]?.push(index);
  }
  let span = 0;
  let heap = spans[0] ?? [];
  heapify(heap, isEarlier);

  function reached(): number[] {
    while (heap.length === 0 && span < SPANS - 1) {
      heap = spans[++span] ?? [];
      heapify(heap, isEarlier);
    }
    return heap;
  }

  return {
    push(index, endsAt) {
      ends[index] = endsAt;
      const its = spanOf(endsAt);
      if (its > span) spans[its]?.push(index);
      else pushHeap(heap, index, isEarlier);
    },
    nextAt: () => ends[reached()[0] ?? -1] ?? Infinity,
    pop: () => popHeap(reached(), isEarlier) ?? -1,
  };
}
