import { stepInbox } from "../chat/step.ts";
import { stepDisk } from "../disks/step.ts";
import { stepSpec } from "../environments/record/spec.ts";
import { afterFailure, shouldProcessEarly, stepEnvironment } from "../environments/steps/step.ts";
import { noteMachineNotice } from "../pools/capacity/machine-notice.ts";
import type { ReconcileRequest } from "../ports/queue.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { ClusterAway, Conflict } from "../problem.ts";
import { keyOfText, keyText, kindOfKey, type RecordKind } from "../store/keys.ts";
import { sameData } from "../store/same-data.ts";
import { Unreadable } from "../store/unreadable.ts";
import { writeRecord, writeRecords } from "../store/write-record.ts";
import { stepUser } from "../users/step.ts";
import { budgeted, isTooOld, readAtNow, StepTooOld } from "./budget.ts";
import { clampDueAt } from "./clamp-due.ts";
import { quarantine } from "./quarantine.ts";
import { requestReconcile, SWEEP_REACH_MS } from "./request-reconcile.ts";
import { earlyBy, type Reading, requeueEarly, retryOnConflict } from "./retry-on-conflict.ts";
import type { Step, WorkerContext } from "./step.ts";

/**
 * Reconciles one record: reads it, observes the world, takes one step and writes the result
 * (docs/architecture/reconciliation.md). Failures are written into the record or logged. It throws only if the table
 * is unreachable.
 */
export async function reconcile(ctx: WorkerContext, message: ReconcileRequest): Promise<void> {
  if (message.notice) return noteMachineNotice(ctx, message.notice);
  const key = keyOfText(message.look);
  const kind = key && kindOfKey(key);
  if (!key || !kind) {
    ctx.log.error("unknown key in message", { look: message.look.slice(0, 200) });
    return;
  }
  if (kind === "pool" || kind === "delivery") {
    await requestReconcile(ctx, key, message.for ? { for: message.for } : {});
    return;
  }
  // Resend with the same flags: a record that is not due is only reconciled for a hint.
  const again = {
    ...(message.for && { for: message.for }),
    ...(message.hint && { isHint: true }),
    ...(message.interrupted && { isInterrupted: true }),
  };
  await retryOnConflict(ctx, key, again, (isLast) => reconcileOnce(ctx, key, message, isLast));
}

/** Longer than any step of a running worker: 20 s until its last call starts, and 15 s for that call. */
const STEP_AGE_MS = 40_000;

/** Also returns `again` if the step took too long to act. */
async function reconcileOnce(
  ctx: WorkerContext,
  key: Key,
  message: ReconcileRequest,
  isLast: boolean,
): Promise<Reading> {
  const readAt = readAtNow(ctx.clock);
  const storedItem = await ctx.table.get(key);
  if (!storedItem) return "over";
  const now = ctx.clock.now();
  const item = clampDueAt(ctx, storedItem, now);
  const early = earlyBy(item, now);
  if (early > 0 && !shouldProcessEarly(item, message)) return requeueEarly(ctx, key, early);
  const guarded = { ...ctx, ...budgeted(ctx, ctx.clock, readAt) };
  const step = await takeStep(guarded, item, message, now, isLast);
  if (step === "again") return "again";
  if (!step) return "over";
  // The observation is as old as the step. After a suspension it may be wrong.
  if (!isLast && isTooOld(ctx.clock, readAt, STEP_AGE_MS)) return "again";
  // The hint changed nothing. The regular requeue still follows.
  if (early > 0 && message.hint && isNoop(item, step.record)) return "over";
  const record = await writeStep(ctx, step);
  if (!record) return "again";
  logReconcile(ctx, record, step.log, ctx.clock.monotonic() - readAt.monotonic);
  const hasActed = await act(guarded, key, step);
  const isFromHint = message.hint === true || message.fromHint === true;
  await sendAfter(ctx, key, record, step, { leastMs: hasActed ? 0 : ACT_PAUSE_MS, isFromHint });
  return "over";
}

/** Returns the record of the step, or undefined on a conflict. */
async function writeStep(ctx: WorkerContext, { record, alsoWrites }: Step<Due>): Promise<Due | undefined> {
  if (!alsoWrites) return writeRecord(ctx, record);
  return (await writeRecords(ctx, [record, alsoWrites])) ? record : undefined;
}

/** Reports whether a step changed nothing except when the record is due, or failed like the step before it. */
function isNoop(before: Item, after: Due): boolean {
  const { dueAt, looks: passes } = before;
  const attempts = getAttempts(before);
  // A hint must not lengthen the backoff, or use up tries of a step that gives up after a few.
  return (attempts > 0 && getAttempts(after) > attempts) || sameData({ ...after, dueAt, looks: passes }, before);
}

/** The shortest wait after a refused action. The record may be due at once, and the action may be refused again. */
const ACT_PAUSE_MS = 5000;

async function act(ctx: WorkerContext, key: Key, step: Step<Due>): Promise<boolean> {
  try {
    await step.after?.(ctx);
    return true;
  } catch (error) {
    ctx.log.warn("act failed", { look: keyText(key), did: step.log, error: String(error) });
    return false;
  }
}

type RecordStep = (
  ctx: WorkerContext,
  item: Item,
  now: number,
  message: ReconcileRequest,
) => Promise<Step<Due> | undefined>;

/** The compiler rejects a missing kind. Pools and deliveries have separate consumers. */
const steps = {
  environment: stepEnvironment,
  spec: stepSpec,
  disk: stepDisk,
  user: stepUser,
  inbox: stepInbox,
} satisfies Record<Exclude<RecordKind, "pool" | "delivery">, RecordStep>;

function isStepped(kind: RecordKind | undefined): kind is keyof typeof steps {
  return kind !== undefined && kind in steps;
}

interface Due extends Stored {
  readonly dueAt?: number | undefined;
}

async function takeStep(
  ctx: WorkerContext,
  item: Item,
  message: ReconcileRequest,
  now: number,
  isLast: boolean,
): Promise<Step<Due> | "again" | undefined> {
  const kind = kindOfKey(item);
  if (!isStepped(kind)) return undefined;
  try {
    return await steps[kind](ctx, item, now, message);
  } catch (error) {
    // On the last try, slowness and conflicts count as failures, or messages would multiply.
    if ((error instanceof Conflict || error instanceof StepTooOld) && !isLast) return "again";
    // A record of a newer version may affect this one, so leave it to that version without counting a try.
    if (error instanceof Unreadable && (error.isNewer || keyText(error.item) === keyText(item))) {
      const record = quarantine(ctx, error, now);
      return record && { record, notify: [], log: "poisoned" };
    }
    return failed(ctx, item, now, error);
  }
}

/** Consecutive failures until an alarm (13 minutes), and between further alarms (an hour). */
const STUCK = { first: 10, again: 12 } as const;

/** Returns the record with a retry after 2, 4, 8 … 300 s and the reason of the failure. */
function failed(ctx: WorkerContext, item: Item, now: number, error: unknown): Step<Due> {
  const attempts = getAttempts(item) + 1;
  const wait = Math.min(2 ** Math.min(attempts, 9) * 1000, 300_000);
  const fields = { look: keyText(item), attempts, error: String(error instanceof ClusterAway ? error.cause : error) };
  ctx.log.warn("step failed", fields);
  const isStuck = attempts >= STUCK.first && (attempts - STUCK.first) % STUCK.again === 0;
  if (isStuck) ctx.log.error("stuck", fields);
  const fault = (error instanceof Error ? error.message : String(error)).slice(0, 120);
  const failure = { attempts, fault, dueAt: now + wait };
  const isEnvironment = kindOfKey(item) === "environment";
  const record = isEnvironment ? afterFailure(ctx, item, failure, error, now) : { ...item, ...failure };
  return { record, notify: [], log: "failed" };
}

function getAttempts({ attempts }: Stored & { readonly attempts?: unknown }): number {
  return typeof attempts === "number" ? attempts : 0;
}

interface Next {
  readonly leastMs: number;
  readonly isFromHint: boolean;
}

/**
 * Sends the next message for the record. Only a successful write sends it, so chains merge and never multiply. An
 * immediate message after a hint is marked, so that a queue may deliver it first. It is not a hint itself: a hint that
 * changes nothing ends its chain, while this one must continue.
 */
async function sendAfter(ctx: WorkerContext, key: Key, record: Due, step: Step<Due>, next: Next): Promise<void> {
  const others = step.notify.map((send) => requestReconcile(ctx, send.key, send.for ? { for: send.for } : {}));
  const due = record.dueAt === undefined ? Number.POSITIVE_INFINITY : record.dueAt - ctx.clock.now();
  const wait = Math.max(due, next.leastMs);
  if (wait <= SWEEP_REACH_MS)
    others.push(requestReconcile(ctx, key, { delayMs: wait, isFromHint: next.isFromHint && wait <= 0 }));
  await Promise.all(others);
}

function logReconcile(ctx: WorkerContext, record: Due, log: string, ms: number): void {
  const { uid, phase, run } = record as Item & { readonly run?: { readonly n?: unknown } };
  ctx.log.info("look", { look: keyText(record), uid, phase, run: run?.n, did: log, ms: Math.round(ms) });
}
