import { popHeap, pushHeap } from "../heap.ts";

/** Numbers by when what they stand for ends. */
export interface EndHeap {
  push(index: number, endsAt: number): void;
  /** Infinity: nothing ends any more. */
  nextAt(): number;
  /** The one that ends next; -1: none. */
  pop(): number;
}

export function endHeap(): EndHeap {
  const heap: number[] = [];
  const ends: number[] = [];
  const isEarlier = (a: number, b: number) => (ends[a] ?? 0) < (ends[b] ?? 0);
  return {
    push(index, endsAt) {
      while (ends.length <= index) ends.push(0);
      ends[index] = endsAt;
      pushHeap(heap, index, isEarlier);
    },
    nextAt: () => ends[heap[0] ?? -1] ?? Infinity,
    pop: () => popHeap(heap, isEarlier) ?? -1,
  };
}
