import type { Clock, Compute } from "./context.ts";

/** No changing call later than this after the step's read: a worker that slept must not act on what it read. */
const STEP_BUDGET_MS = 20_000;

/** The step's read is too old to act on: read again and decide again. */
export class StepTooOld extends Error {
  constructor() {
    super("The step's read is too old to act on");
    this.name = "StepTooOld";
  }
}

/** A Compute whose changing calls refuse once the read that began the step is 20 s old (design section 2). */
export function budgeted(compute: Compute, clock: Clock, readAt: number): Compute {
  function check(): void {
    if (clock.monotonic() - readAt > STEP_BUDGET_MS) throw new StepTooOld();
  }
  return {
    ...compute,
    apply: async (run) => {
      check();
      return compute.apply(run);
    },
    remove: async (uid, run, options) => {
      check();
      return compute.remove(uid, run, options);
    },
    extend: async (uid, run, until) => {
      check();
      return compute.extend(uid, run, until);
    },
  };
}
