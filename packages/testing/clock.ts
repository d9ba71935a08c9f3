import type { Clock } from "#core/ports/clock.ts";

export interface ManualClock extends Clock {
  /** Moves both the time of day and the monotonic time; refuses to go back. */
  advance(ms: number): void;
  /** Sets the time of day alone, as a step of the host's clock would; the monotonic time stays. */
  step(ms: number): void;
}

/** A clock that stands still until it is told to move. `start` is in milliseconds since the epoch. */
export function manualClock(start = Date.UTC(2026, 0, 20, 18)): ManualClock {
  let now = start;
  let monotonic = 0;
  return {
    now: () => now,
    monotonic: () => monotonic,
    advance(ms) {
      if (!(ms >= 0)) throw new Error(`A clock cannot advance by ${ms} ms`);
      now += ms;
      monotonic += ms;
    },
    step(ms) {
      now += ms;
    },
    // Time passes here only by being moved: whoever sleeps moves it.
    async sleep(ms) {
      now += ms;
      monotonic += ms;
    },
  };
}
