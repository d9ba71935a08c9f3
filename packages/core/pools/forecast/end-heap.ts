import { heapify, popHeap, pushHeap } from "../../heap.ts";

/** Numbers ordered by the end time of the occupants that they stand for. */
export interface EndHeap {
  push(index: number, endsAt: number): void;
  /** Returns Infinity if nothing else ends. */
  nextAt(): number;
  /** Removes and returns the number that ends next, or -1. */
  pop(): number;
}

/** A forecast run usually stops after a few spans, so only the current span is sorted. */
const SPANS = 64;

/** Creates a heap of the first `count` ends and stores pushed ends in `ends`. An end of Infinity never comes. */
export function endHeap(ends: Float64Array, count: number): EndHeap {
  let [begin, end] = [Infinity, -Infinity];
  for (let index = 0; index < count; index++) {
    const at = ends[index] ?? Infinity;
    if (at < begin) begin = at;
    if (at > end && at < Infinity) end = at;
  }
  const spans: number[][] = Array.from({ length: SPANS }, () => []);
  const getSpan = (at: number) =>
    Math.max(0, Math.min(SPANS - 1, Math.floor(((at - begin) / (end - begin)) * SPANS) || 0));
  const isEarlier = (a: number, b: number) => ((ends[a] ?? 0) - (ends[b] ?? 0) || a - b) < 0;
  for (let index = 0; index < count; index++) {
    const at = ends[index] ?? Infinity;
    if (at < Infinity) spans[getSpan(at)]?.push(index);
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
      const its = getSpan(endsAt);
      if (its > span) spans[its]?.push(index);
      else pushHeap(heap, index, isEarlier);
    },
    nextAt: () => ends[reached()[0] ?? -1] ?? Infinity,
    pop: () => popHeap(reached(), isEarlier) ?? -1,
  };
}
