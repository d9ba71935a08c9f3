/**
 * A binary heap in an array, with the first item in front. Hand-written, because the core imports no package and
 * JavaScript has no heap.
 */
export function pushHeap<T>(heap: T[], item: T, before: (a: T, b: T) => boolean): void {
  let at = heap.push(item) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!swapIfBefore(heap, at, parent, before)) return;
    at = parent;
  }
}

export function popHeap<T>(heap: T[], before: (a: T, b: T) => boolean): T | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return top;
  heap[0] = last;
  sink(heap, 0, before);
  return top;
}

function heapify<T>(items: T[], before: (a: T, b: T) => boolean): void {
  for (let at = (items.length >> 1) - 1; at >= 0; at--) sink(items, at, before);
}

function sink<T>(heap: T[], from: number, before: (a: T, b: T) => boolean): void {
  let at = from;
  while (2 * at + 1 < heap.length) {
    const left = 2 * at + 1;
    const right = left + 1;
    const child = right < heap.length && before(heap[right] as T, heap[left] as T) ? right : left;
    if (!swapIfBefore(heap, child, at, before)) return;
    at = child;
  }
}

/** Requires that both indexes are inside the array. */
function swapIfBefore<T>(heap: T[], child: number, parent: number, before: (a: T, b: T) => boolean): boolean {
  const [a, b] = [heap[child] as T, heap[parent] as T];
  if (!before(a, b)) return false;
  heap[child] = b;
  heap[parent] = a;
  return true;
}

/** A heap of numbers whose order may change. It knows the position of each number. */
export interface IndexedHeap {
  /** Call it after the order of this number changed. Ignores a number that is not in the heap. */
  update(item: number): void;
  first(count: number): number[];
}

/** Requires `items` in ascending order, and an `isBefore` without ties. */
export function indexedHeap(items: readonly number[], isBefore: (a: number, b: number) => boolean): IndexedHeap {
  const heap = Int32Array.from(items);
  const places = new Int32Array((items.at(-1) ?? -1) + 1).fill(-1);
  for (let place = 0; place < heap.length; place++) places[heap[place] ?? 0] = place;
  for (let place = (heap.length >> 1) - 1; place >= 0; place--) sink(place);

  function swap(place: number, otherPlace: number): void {
    const [item, next] = [heap[place] ?? 0, heap[otherPlace] ?? 0];
    heap[place] = next;
    heap[otherPlace] = item;
    places[next] = place;
    places[item] = otherPlace;
  }

  function sink(from: number): void {
    for (let place = from; ; ) {
      const left = 2 * place + 1;
      if (left >= heap.length) return;
      const isRight = left + 1 < heap.length && isBefore(heap[left + 1] ?? 0, heap[left] ?? 0);
      const child = isRight ? left + 1 : left;
      if (!isBefore(heap[child] ?? 0, heap[place] ?? 0)) return;
      swap(place, child);
      place = child;
    }
  }

  return {
    update(item) {
      let place = places[item] ?? -1;
      if (place < 0) return;
      for (let parent = (place - 1) >> 1; place > 0 && isBefore(item, heap[parent] ?? 0); parent = (place - 1) >> 1) {
        swap(place, parent);
        place = parent;
      }
      sink(place);
    },
    first(count) {
      const found: number[] = [];
      // The next number is the top or a child of one already found.
      const open = heap.length > 0 ? [0] : [];
      while (found.length < count && open.length > 0) {
        const next = open.reduce((a, b) => (isBefore(heap[b] ?? 0, heap[a] ?? 0) ? b : a));
        found.push(heap[next] ?? 0);
        if (found.length === count) return found;
        const below = [2 * next + 1, 2 * next + 2].filter((place) => place < heap.length);
        open.splice(open.indexOf(next), 1, ...below);
      }
      return found;
    },
  };
}

/** A heap of numbers by their end times. */
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
