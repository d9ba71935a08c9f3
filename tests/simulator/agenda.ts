import { popHeap, pushHeap } from "#core/heap.ts";

interface Entry {
  readonly at: number;
  readonly n: number;
  readonly run: () => void;
}

/** Actions in order of time. Actions of the same time keep the order in which they were added. */
export interface Agenda {
  at(when: number, run: () => void): void;
  /** Returns the time of the first action, or Infinity. */
  nextAt(): number;
  runUntil(now: number): void;
}

export function newAgenda(): Agenda {
  const entries: Entry[] = [];
  let noted = 0;
  return {
    at: (when, run) => pushHeap(entries, { at: when, n: ++noted, run }, isBefore),
    nextAt: () => entries[0]?.at ?? Number.POSITIVE_INFINITY,
    runUntil(now) {
      for (let first = entries[0]; first && first.at <= now; first = entries[0]) {
        popHeap(entries, isBefore);
        first.run();
      }
    },
  };
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.n < b.n);
}
