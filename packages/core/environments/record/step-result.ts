import { patienceMs } from "../../reconciler/patience.ts";
import type { Step, WorkerContext } from "../../reconciler/worker.ts";
import { diskKey, keyText, poolKey } from "../../store/keys.ts";
import { type Environment, keyOf } from "./record.ts";

/** The step changed something: look again at once. */
export function changed(environment: Environment, now: number, log: string): Step<Environment> {
  return { record: { ...environment, dueAt: now, looks: 0 }, notify: [], log };
}

const WAITS_MS = [1000, 2000, 5000];

/** How long to wait after a look that saw no change: 1, 2, then always 5 s (docs/architecture/reconciliation.md). */
export function waitMs({ looks }: Pick<Environment, "looks">): number {
  return WAITS_MS[Math.min(looks, WAITS_MS.length - 1)] ?? 5000;
}

const PREPARING_WAITS_MS = [2_000, 5_000, 10_000, 30_000];

/**
 * The next look at one that is prepared, should no change of its run be signalled
 * (docs/architecture/reconciliation.md).
 */
export function waitedForStart(environment: Environment, now: number, log: string): Step<Environment> {
  const waitMs = PREPARING_WAITS_MS[Math.min(environment.looks, PREPARING_WAITS_MS.length - 1)] ?? 0;
  return lookAgainAt(environment, now + waitMs, log);
}

/** Nothing moved: look again after 1, 2, then every 5 s. */
export function waited(environment: Environment, now: number, log: string): Step<Environment> {
  return lookAgainAt(environment, now + waitMs(environment), log);
}

/** The same while it stops, saying what it waits for, which may take hours. */
export function waitedFor(environment: Environment, now: number, what: string): Step<Environment> {
  const waits = { ...environment, end: { ...environment.end, waitsFor: what } };
  return waitedSince(waits, environment.end.stoppingAt, now, what);
}

/** The same for what may take long: more and more patiently the longer it has taken, up to every 30 s. */
export function waitedSince(
  environment: Environment,
  since: number | null,
  now: number,
  log: string,
): Step<Environment> {
  return lookAgainAt(environment, now + Math.max(waitMs(environment), patienceMs(now - (since ?? now))), log);
}

/** Nothing to do before this moment. */
export function lookAgainAt(environment: Environment, dueAt: number, log: string): Step<Environment> {
  return { record: { ...environment, dueAt, looks: environment.looks + 1 }, notify: [], log };
}

/** Returns the same step, which also calls `more` after its write, even if an earlier `after` throws. */
export function alsoAfter(step: Step<Environment>, more: (ctx: WorkerContext) => Promise<unknown>): Step<Environment> {
  const { after } = step;
  if (!after) return { ...step, after: more };
  return {
    ...step,
    async after(ctx) {
      try {
        await after(ctx);
      } finally {
        await more(ctx);
      }
    },
  };
}

/** The same step, with the next look at this moment where it would come later. */
export function noLaterThan(step: Step<Environment>, at: number): Step<Environment> {
  return { ...step, record: { ...step.record, dueAt: Math.min(step.record.dueAt ?? at, at) } };
}

/** The same step, telling the pool that this environment took, changed or returned capacity, or still waits. */
export function tellingPool(step: Step<Environment>): Step<Environment> {
  const { record } = step;
  const send = { key: poolKey(record.size.pool), for: [keyText(keyOf(record))] };
  return { ...step, notify: [...step.notify, send] };
}

/** The same step, telling its disk, whose record was written with it, that it is due. */
export function tellingDisk(step: Step<Environment>): Step<Environment> {
  const { owner, disk } = step.record;
  return disk ? { ...step, notify: [...step.notify, { key: diskKey(owner, disk.uid) }] } : step;
}
