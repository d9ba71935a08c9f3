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

export function heapify<T>(items: T[], before: (a: T, b: T) => boolean): void {
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
