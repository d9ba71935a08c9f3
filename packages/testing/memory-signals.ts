import type { Compute, RunRef } from "#core/context.ts";
import type { Signals } from "./memory-cluster.ts";

export interface MemorySignals extends Signals {
  /** Those that were told and not taken yet. */
  take(): RunRef[];
  readonly follow: Compute["changes"];
}

/** Keeps what changed for whoever takes it, and passes it on to whoever follows. */
export function memorySignals(): MemorySignals {
  let untaken: RunRef[] = [];
  const followers = new Set<(run: RunRef) => void>();
  return {
    tell(run) {
      untaken.push(run);
      for (const follower of followers) follower(run);
    },
    take() {
      const taken = untaken;
      untaken = [];
      return taken;
    },
    follow: (signal) => followedBy(followers, signal),
  };
}

async function* followedBy(followers: Set<(run: RunRef) => void>, signal: AbortSignal): AsyncGenerator<RunRef> {
  const told: RunRef[] = [];
  let wake = (): void => undefined;
  const follower = (run: RunRef): void => {
    told.push(run);
    wake();
  };
  const abort = (): void => wake();
  followers.add(follower);
  signal.addEventListener("abort", abort);
  try {
    while (!signal.aborted) {
      const next = told.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    followers.delete(follower);
    signal.removeEventListener("abort", abort);
  }
}
