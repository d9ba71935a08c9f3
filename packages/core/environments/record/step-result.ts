import { pollBackoffMs } from "../../reconciler/backoff.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { diskKey, keyText, poolKey } from "../../store/keys.ts";
import { type Environment, toKey } from "./record.ts";

/** Returns a step that changed something, so the next reconcile follows at once. */
export function changed(environment: Environment, now: number, log: string): Step<Environment> {
  return { record: { ...environment, dueAt: now, looks: 0 }, notify: [], log };
}

const WAITS_MS = [1000, 2000, 5000];

/** Returns the wait after a reconcile without a change: 1, 2, then always 5 s (docs/architecture/reconciliation.md). */
export function waitMs({ looks: passes }: Pick<Environment, "looks">): number {
  return WAITS_MS[Math.min(passes, WAITS_MS.length - 1)] ?? 5000;
}

const PREPARING_WAITS_MS = [2_000, 5_000, 10_000, 30_000];

/** Returns a step that waits for the run; a hint may come earlier (docs/architecture/reconciliation.md). */
export function waitedForStart(environment: Environment, now: number, log: string): Step<Environment> {
  const waitMs = PREPARING_WAITS_MS[Math.min(environment.looks, PREPARING_WAITS_MS.length - 1)] ?? 0;
  return requeueAt(environment, now + waitMs, log);
}

export function waited(environment: Environment, now: number, log: string): Step<Environment> {
  return requeueAt(environment, now + waitMs(environment), log);
}

export function waitedFor(environment: Environment, now: number, subject: string): Step<Environment> {
  const waits = { ...environment, end: { ...environment.end, waitsFor: subject } };
  return waitedSince(waits, environment.end.stoppingAt, now, subject);
}

/** Returns a waiting step whose interval grows with the time since `since`, up to 30 s. */
export function waitedSince(
  environment: Environment,
  since: number | null,
  now: number,
  log: string,
): Step<Environment> {
  return requeueAt(environment, now + Math.max(waitMs(environment), pollBackoffMs(now - (since ?? now))), log);
}

export function requeueAt(environment: Environment, dueAt: number, log: string): Step<Environment> {
  return { record: { ...environment, dueAt, looks: environment.looks + 1 }, notify: [], log };
}

/** Adds a call after the step's write, made even if an earlier `after` throws. */
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

export function noLaterThan(step: Step<Environment>, at: number): Step<Environment> {
  return { ...step, record: { ...step.record, dueAt: Math.min(step.record.dueAt ?? at, at) } };
}

export function notifyPool(step: Step<Environment>): Step<Environment> {
  const { record } = step;
  const send = { key: poolKey(record.size.pool), for: [keyText(toKey(record))] };
  return { ...step, notify: [...step.notify, send] };
}

export function notifyDisk(step: Step<Environment>): Step<Environment> {
  const { owner, disk } = step.record;
  return disk ? { ...step, notify: [...step.notify, { key: diskKey(owner, disk.uid) }] } : step;
}
