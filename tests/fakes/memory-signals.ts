import type { Compute, RunRef, SignalledUpTo } from "#core/ports/compute.ts";
import type { Signals } from "./memory-cluster.ts";

export interface MemorySignals extends Signals {
  /** Returns the reported runs that were not taken yet. */
  take(): RunRef[];
  readonly follow: Compute["changes"];
}

/** Number of changes that are kept for followers. */
const KEPT = 1_000;

/** Keeps changed runs until they are taken, and passes them on to followers. `all` lists all runs. */
export function memorySignals(all: () => readonly RunRef[]): MemorySignals {
  let untaken: RunRef[] = [];
  const sent: Sent = { count: 0, last: [], wakes: new Set() };
  return {
    tell(run) {
      untaken.push(run);
      sent.count += 1;
      sent.last.push(run);
      if (sent.last.length > KEPT) sent.last.shift();
      for (const wake of sent.wakes) wake();
    },
    take() {
      const taken = untaken;
      untaken = [];
      return taken;
    },
    follow: (signal, from) => followed(sent, all, signal, from),
  };
}

interface Sent {
  /** Number of changes so far. A follower's position is the number that it received. */
  count: number;
  readonly last: RunRef[];
  readonly wakes: Set<() => void>;
}

async function* followed(
  sent: Sent,
  all: () => readonly RunRef[],
  signal: AbortSignal,
  from: string | undefined,
): AsyncGenerator<RunRef | SignalledUpTo> {
  let wake = (): void => undefined;
  const wakeUp = (): void => wake();
  sent.wakes.add(wakeUp);
  signal.addEventListener("abort", wakeUp);
  const forgotten = () => sent.count - sent.last.length;
  try {
    let at = Number(from ?? Number.NaN);
    let isSaid = false;
    while (!signal.aborted) {
      const isKnown = at >= forgotten() && at <= sent.count;
      if (!isKnown) {
        at = sent.count;
        yield* all();
        isSaid = false;
      } else if (at < sent.count) {
        const next = sent.last[at - forgotten()] as RunRef;
        at += 1;
        isSaid = false;
        yield next;
      } else if (!isSaid) {
        isSaid = true;
        yield { upTo: String(at) };
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    sent.wakes.delete(wakeUp);
    signal.removeEventListener("abort", wakeUp);
  }
}
