import type { Clock } from "../ports/clock.ts";
import type { Compute } from "../ports/compute.ts";
import type { Volumes } from "../ports/volumes.ts";

/** Changing calls fail this long after the step's read, so that a suspended worker does not act on stale data. */
const STEP_BUDGET_MS = 20_000;

/** The step's read is too old to act on. Read and decide again. */
export class StepTooOld extends Error {
  constructor() {
    super("The step's read is too old to act on");
    this.name = "StepTooOld";
  }
}

interface Changing {
  readonly compute: Compute;
  readonly volumes: Volumes;
}

export type ReadAt = Readonly<{ now: number; monotonic: number }>;

export function readAtNow(clock: Clock): ReadAt {
  return { now: clock.now(), monotonic: clock.monotonic() };
}

/** Reports whether a read is too old. Also by time of day: the monotonic clock stops while a machine is suspended. */
export function isTooOld(clock: Clock, { now, monotonic }: ReadAt, mostMs = STEP_BUDGET_MS): boolean {
  return Math.max(clock.monotonic() - monotonic, clock.now() - now) > mostMs;
}

/** Makes changing calls throw 20 s after the step's read (docs/architecture/consistency.md#paused-workers). */
export function budgeted({ compute, volumes }: Changing, clock: Clock, readAt: ReadAt): Changing {
  function inTime<Input extends unknown[], Output>(call: (...input: Input) => Promise<Output>) {
    return async (...input: Input): Promise<Output> => {
      if (isTooOld(clock, readAt)) throw new StepTooOld();
      return call(...input);
    };
  }
  return {
    compute: {
      ...compute,
      apply: inTime(compute.apply),
      begin: inTime(compute.begin),
      terminate: inTime(compute.terminate),
      remove: inTime(compute.remove),
      extend: inTime(compute.extend),
      setAccess: inTime(compute.setAccess),
      postToPort: inTime(compute.postToPort),
      resize: inTime(compute.resize),
      tell: inTime(compute.tell),
    },
    volumes: {
      ...volumes,
      createVolume: inTime(volumes.createVolume),
      removeVolume: inTime(volumes.removeVolume),
      detachVolume: inTime(volumes.detachVolume),
      createSnapshot: inTime(volumes.createSnapshot),
      removeSnapshot: inTime(volumes.removeSnapshot),
      tagSnapshot: inTime(volumes.tagSnapshot),
      startArchive: inTime(volumes.startArchive),
      endArchive: inTime(volumes.endArchive),
    },
  };
}
