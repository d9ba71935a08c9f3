/** A priority queue of nodes that supports updates: a heap with the position of each node. */
export interface NodeOrder {
  update(node: number): void;
  first(count: number): number[];
}

/** Requires `nodes` in ascending order, and an `isBefore` without ties. */
export function nodeOrder(nodes: readonly number[], isBefore: (a: number, b: number) => boolean): NodeOrder {
  const heap = Int32Array.from(nodes);
  const places = new Int32Array((nodes.at(-1) ?? -1) + 1).fill(-1);
  for (let place = 0; place < heap.length; place++) places[heap[place] ?? 0] = place;
  for (let place = (heap.length >> 1) - 1; place >= 0; place--) sink(place);

  function swap(place: number, otherPlace: number): void {
    const [node, next] = [heap[place] ?? 0, heap[otherPlace] ?? 0];
    heap[place] = next;
    heap[otherPlace] = node;
    places[next] = place;
    places[node] = otherPlace;
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
    update(node) {
      let place = places[node] ?? -1;
      if (place < 0) return;
      for (let parent = (place - 1) >> 1; place > 0 && isBefore(node, heap[parent] ?? 0); parent = (place - 1) >> 1) {
        swap(place, parent);
        place = parent;
      }
      sink(place);
    },
    first(count) {
      const found: number[] = [];
      // The next node is the top or a child of a node already found.
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
