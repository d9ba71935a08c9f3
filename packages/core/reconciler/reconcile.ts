import { stepInbox } from "../chat/step.ts";
import { stepDisk } from "../disks/step.ts";
import { stepSpec } from "../environments/record/unnamed-spec.ts";
import { afterFailure, stepEnvironment, wantsLook } from "../environments/steps/step.ts";
import type { Look } from "../ports/queue.ts";
import type { Item, Key, Stored } from "../ports/table.ts";
import { ClusterAway, Conflict } from "../problem.ts";
import { keyOfText, keyText, kindOfKey, type RecordKind } from "../store/keys.ts";
import { sameData } from "../store/same-data.ts";
import { Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { stepUser } from "../users/step.ts";
import { budgeted, isTooOld, readAtNow, StepTooOld } from "./budget.ts";
import { withinReach } from "./hidden.ts";
import { SWEEP_REACH_MS, sendLook } from "./look.ts";
import { earlyBy, endEarly, lookUntilOver, type Reading } from "./one-look.ts";
import { poisoned } from "./poison.ts";
import type { Step, WorkerContext } from "./worker.ts";

/**
 * One look: reads the record, observes the world, takes the one next step, writes what it saw
 * (docs/architecture/reconciliation.md). Whatever goes wrong inside is written into the record or logged; it throws
 * only when the table cannot be reached.
 */
export async function reconcile(ctx: WorkerContext, message: Look): Promise<void> {
  const key = keyOfText(message.look);
  const kind = key && kindOfKey(key);
  if (!key || !kind) {
    ctx.log.error("unknown key in message", { look: message.look.slice(0, 200) });
    return;
  }
  if (kind === "pool" || kind === "delivery") {
    await sendLook(ctx, key, message.for ? { for: message.for } : {});
    return;
  }
  // Sent again as it came: what nobody is due to look at is looked at only because it is a hint.
  const again = { ...(message.for && { for: message.for }), ...(message.hint && { isHint: true }) };
  await lookUntilOver(ctx, key, again, (isLast) => lookOnce(ctx, key, message, isLast));
}

/** Longer than any step takes that did not sleep: 20 s until its last call begins, and 15 s for that. */
const STEP_AGE_MS = 40_000;

/** `again` also where the step took too long to act. */
async function lookOnce(ctx: WorkerContext, key: Key, message: Look, isLast: boolean): Promise<Reading> {
  const readAt = readAtNow(ctx.clock);
  const read = await ctx.table.get(key);
  if (!read) return "over";
  const now = ctx.clock.now();
  const item = withinReach(ctx, read, now);
  const early = earlyBy(item, now);
  if (early > 0 && !wantsLook(item, message)) return endEarly(ctx, key, early);
  const guarded = { ...ctx, ...budgeted(ctx, ctx.clock, readAt) };
  const step = await takeStep(guarded, item, message, now, isLast);
  if (step === "again") return "again";
  if (!step) return "over";
  // What it saw is as old as that: nobody may have been there since who would have noticed.
  if (!isLast && isTooOld(ctx.clock, readAt, STEP_AGE_MS)) return "again";
  // What it was asked for ahead of time was nothing: the chain of looks goes on beside it.
  if (early > 0 && message.hint && sawNothing(item, step.record)) return "over";
  const record = await writeRecord(ctx, step.record);
  if (!record) return "again";
  logLook(ctx, record, step.log, ctx.clock.monotonic() - readAt.monotonic);
  const hasActed = await act(guarded, key, step);
  const isFromHint = message.hint === true || message.fromHint === true;
  await sendAfter(ctx, key, record, step, { leastMs: hasActed ? 0 : ACT_PAUSE_MS, isFromHint });
  return "over";
}

/** Whether a step left everything as it was, but for when it is looked at again; or failed, as the one before it did. */
function sawNothing(before: Item, after: Due): boolean {
  const { dueAt, looks } = before;
  const attempts = attemptsOf(before);
  // A signal is no reason to wait longer for what is away, or to give up sooner what takes only so many tries.
  return (attempts > 0 && attemptsOf(after) > attempts) || sameData({ ...after, dueAt, looks }, before);
}

/** No sooner is the next look sent after what a step did was refused: it may be due at once, and come to the same. */
const ACT_PAUSE_MS = 5000;

/** Whether it did what it was to do. */
async function act(ctx: WorkerContext, key: Key, step: Step<Due>): Promise<boolean> {
  try {
    await step.after?.(ctx);
    return true;
  } catch (error) {
    ctx.log.warn("act failed", { look: keyText(key), did: step.log, error: String(error) });
    return false;
  }
}

type StepOf = (ctx: WorkerContext, item: Item, now: number, message: Look) => Promise<Step<Due> | undefined>;

/**
 * A kind of record that is missing here does not compile. Pools are planned, and deliveries made, by consumers of their
 * own.
 */
const steps = {
  environment: stepEnvironment,
  spec: stepSpec,
  disk: stepDisk,
  user: stepUser,
  inbox: stepInbox,
} satisfies Record<Exclude<RecordKind, "pool" | "delivery">, StepOf>;

function isStepped(kind: RecordKind | undefined): kind is keyof typeof steps {
  return kind !== undefined && kind in steps;
}

/** Any record that reconcile writes. */
interface Due extends Stored {
  readonly dueAt?: number | undefined;
}

async function takeStep(
  ctx: WorkerContext,
  item: Item,
  message: Look,
  now: number,
  isLast: boolean,
): Promise<Step<Due> | "again" | undefined> {
  const kind = kindOfKey(item);
  if (!isStepped(kind)) return undefined;
  try {
    return await steps[kind](ctx, item, now, message);
  } catch (error) {
    // What is always too slow for a step, or changed meanwhile, is a failure like any other, or looks would multiply.
    if ((error instanceof Conflict || error instanceof StepTooOld) && !isLast) return "again";
    // What any record of a newer version means for this one is left to that version: no try of this one counts.
    if (error instanceof Unreadable && (error.isNewer || keyText(error.item) === keyText(item))) {
      const record = poisoned(ctx, error, now);
      return record && { record, notify: [], log: "poisoned" };
    }
    return failed(ctx, item, now, error);
  }
}

/** So many failures in a row take 13 minutes, and so many more an hour: what lasts as long does not mend itself. */
const STUCK = { first: 10, again: 12 } as const;

/** A step that failed is tried again after 2, 4, 8 … 300 s; the reason stands in the record meanwhile. */
function failed(ctx: WorkerContext, item: Item, now: number, error: unknown): Step<Due> {
  const attempts = attemptsOf(item) + 1;
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

/** How many steps of a record have failed since the last one that did not. */
function attemptsOf({ attempts }: Stored & { readonly attempts?: unknown }): number {
  return typeof attempts === "number" ? attempts : 0;
}

interface Next {
  readonly leastMs: number;
  readonly isFromHint: boolean;
}

/**
 * Only here, behind a write that won, is the next look at the same record sent: chains merge and never multiply. What a
 * hint leads to at once says so, and a queue may hand it out before what was submitted meanwhile. It is no hint itself:
 * one that sees nothing new ahead of its time is over for good, and this one has to come back.
 */
async function sendAfter(ctx: WorkerContext, key: Key, record: Due, step: Step<Due>, next: Next): Promise<void> {
  const others = step.notify.map((send) => sendLook(ctx, send.key, send.for ? { for: send.for } : {}));
  const due = record.dueAt === undefined ? Number.POSITIVE_INFINITY : record.dueAt - ctx.clock.now();
  const wait = Math.max(due, next.leastMs);
  if (wait <= SWEEP_REACH_MS)
    others.push(sendLook(ctx, key, { delayMs: wait, isFromHint: next.isFromHint && wait <= 0 }));
  await Promise.all(others);
}

function logLook(ctx: WorkerContext, record: Due, log: string, ms: number): void {
  const { uid, phase, run } = record as Item & { readonly run?: { readonly n?: unknown } };
  ctx.log.info("look", { look: keyText(record), uid, phase, run: run?.n, did: log, ms: Math.round(ms) });
}
