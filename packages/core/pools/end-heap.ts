import { heapify, popHeap, pushHeap } from "../heap.ts";

/** Numbers by when what they stand for ends. */
export interface EndHeap {
  push(index: number, endsAt: number): void;
  /** Infinity: nothing ends any more. */
  nextAt(): number;
  /** The one that ends next; -1: none. */
  pop(): number;
}

/** Begins with one number for each of these ends; NaN stands for a number that is not in the heap. */
export function endHeap(initial: Float64Array): EndHeap {
  const heap: number[] = [];
  for (let index = 0; index < initial.length; index++) if (!Number.isNaN(initial[index])) heap.push(index);
  const added: number[] = [];
  const endOf = (index: number) => (index < initial.length ? initial[index] : added[index - initial.length]) ?? 0;
  const isEarlier = (a: number, b: number) => endOf(a) < endOf(b);
  heapify(heap, isEarlier);
  return {
    push(index, endsAt) {
      added[index - initial.length] = endsAt;
      pushHeap(heap, index, isEarlier);
    },
    nextAt: () => (heap[0] === undefined ? Infinity : endOf(heap[0])),
    pop: () => popHeap(heap, isEarlier) ?? -1,
  };
}
