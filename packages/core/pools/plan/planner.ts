import type { Environment } from "../../environments/record/record.ts";
import { poolTypes } from "../../fleet.ts";
import type { ReconcileRequest } from "../../ports/queue.ts";
import type { Key } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import { clampDueAt } from "../../reconciler/clamp-due.ts";
import { quarantine } from "../../reconciler/quarantine.ts";
import { requestReconcile, SWEEP_REACH_MS } from "../../reconciler/request-reconcile.ts";
import { requeueEarly, retryOnConflict } from "../../reconciler/retry-on-conflict.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { keyOfText, keyText, kindOfKey, poolKey } from "../../store/keys.ts";
import { Unreadable } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { MINUTE_MS } from "../../units.ts";
import { beginPool } from "../admission/begin-pool.ts";
import { type Decision, decideGrants } from "../admission/decide.ts";
import { writeAdvice } from "../forecast/advice.ts";
import { refreshForecast } from "../forecast/forecast-items.ts";
import { listLedgerItems, readLedgerForPlan, readLedgerItems } from "../ledger/ledger.ts";
import { readByKey } from "../ledger/read-by-key.ts";
import { concerns, settleLedger } from "../ledger/reconcile-ledger.ts";
import { findPool, type Grant, type Ledger, type Pool, parsePoolType } from "../ledger/record.ts";
import { talliedBetween } from "../ledger/run-outcomes.ts";
import { readRuns, returnedBetween, writeUsed } from "../ledger/usage.ts";
import { writeLedger } from "../ledger/write-ledger.ts";
import { findAdvice, headAfterPlan } from "./head-after-plan.ts";

/**
 * Handles one batch of messages of the pools queue. Messages for one pool are merged. If a pool fails, its error is
 * logged and the others are still planned. Returns the messages to retry: those of pools that failed, and of pools that
 * were not started in time.
 */
export async function planPools(
  ctx: PlannerContext,
  messages: readonly ReconcileRequest[],
): Promise<ReconcileRequest[]> {
  const startedAt = ctx.clock.monotonic();
  const pools = Map.groupBy(messages, ({ look: recordKey }) => recordKey);
  const failed = new Set<string>();
  const left = new Set(pools.keys());
  const forecasts: (() => Promise<void>)[] = [];
  for (const [recordKey, merged] of pools) {
    // Always plan the first pool, or a batch could be retried forever.
    if (left.size < pools.size && ctx.clock.monotonic() - startedAt > BEGUN_WITHIN_MS) break;
    left.delete(recordKey);
    const key = keyOfText(recordKey);
    if (key && isPool(key)) {
      await planWithRetries(ctx, key, askedBy(merged), forecasts).catch((error) => {
        failed.add(recordKey);
        ctx.log.error("look failed", { look: recordKey, error: error instanceof Error ? error.stack : String(error) });
      });
    } else if (key && kindOfKey(key) === "pool") await leaveOut(ctx, key);
    else ctx.log.error("unknown key in message", { look: recordKey.slice(0, 200) });
  }
  // Forecast after all plans, so that no grant waits for a forecast. A separate message would have to read and parse
  // the whole ledger again. The next plan makes up for a forecast that is left out.
  for (const makeForecast of forecasts) {
    if (ctx.clock.monotonic() - startedAt > FORECAST_WITHIN_MS) break;
    await makeForecast();
  }
  return messages.filter(({ look: recordKey }) => failed.has(recordKey) || left.has(recordKey));
}

/** A third of the time that a batch has (functions/consumers/plan.ts). The pool started last keeps the rest. */
const BEGUN_WITHIN_MS = 5_000;
const FORECAST_WITHIN_MS = 10_000;

function isPool(key: Key): boolean {
  return kindOfKey(key) === "pool" && poolTypes.includes(parsePoolType(key));
}

/**
 * Leaves out a pool whose type MACHINE_TYPES names no more. Its head gets no due time, or each sweep would find it. The
 * next request of one of its jobs plans it again, once the type is back.
 */
async function leaveOut(ctx: PlannerContext, key: Key): Promise<void> {
  const head = await ctx.table.get(key);
  if (head?.dueAt === undefined) return;
  ctx.log.warn("pool without a type left out", { look: keyText(key) });
  await writeRecord(ctx, { ...head, dueAt: undefined });
}

interface PlanRequest {
  readonly named: readonly string[];
  /** True if a message names no environment: it was sent for the time at which the pool is due. */
  readonly isTimed: boolean;
}

function askedBy(messages: readonly ReconcileRequest[]): PlanRequest {
  const named = messages.map(({ for: environments = [] }) => environments);
  return { named: [...new Set(named.flat())], isTimed: named.some(({ length }) => length === 0) };
}

async function planWithRetries(
  ctx: PlannerContext,
  key: Key,
  request: PlanRequest,
  forecasts: (() => Promise<void>)[],
): Promise<void> {
  await retryOnConflict(ctx, key, { for: request.named }, async () => {
    try {
      const makeForecast = await planOnce(ctx, key, request);
      if (makeForecast) forecasts.push(makeForecast);
    } catch (error) {
      if (error instanceof Conflict) return "again";
      if (!(error instanceof Unreadable)) throw error;
      await putOff(ctx, error);
    }
    return "over";
  });
}

/** Postpones an unreadable item, unless another planner already did. */
async function putOff(ctx: PlannerContext, error: Unreadable): Promise<void> {
  const now = ctx.clock.now();
  if (typeof error.item.dueAt === "number" && error.item.dueAt > now) return;
  const item = quarantine(ctx, error, now);
  if (item) await writeRecord(ctx, item);
}

/**
 * Plans if the pool is due, or if a named environment changed since the last plan. Otherwise it only reads. Returns a
 * function that makes the forecast of the plan.
 */
async function planOnce(
  ctx: PlannerContext,
  key: Key,
  { named, isTimed }: PlanRequest,
): Promise<(() => Promise<void>) | undefined> {
  const startedAt = ctx.clock.monotonic();
  const type = parsePoolType(key);
  const found = (await findPool(ctx, type)) ?? (await beginPool(ctx, type));
  if (!found) throw new Conflict(keyText(key));
  const seenAt = ctx.clock.now();
  const pool = clampDueAt(ctx, found, seenAt);
  const dueInMs = (pool.dueAt ?? seenAt) - seenAt;
  if (dueInMs > 0 && !(await hasChanges(ctx, pool, named))) {
    if (isTimed) await requeueEarly(ctx, key, dueInMs);
    return undefined;
  }
  const before = await readLedgerForPlan(ctx, pool);
  // Read again after the ledger: an environment that hasChanges() read may have taken its grant since.
  const { records } = await readByKey(ctx, named);
  const now = ctx.clock.now();
  const { ledger, known: knownEnvironments, compared } = await settleLedger(ctx, before, records, now);
  const decided = await decideGrants(ctx, ledger, records, returnedBetween(before, ledger, knownEnvironments), now);
  const written = await writeLedger(ctx, before, decided.ledger);
  const advice = findAdvice(pool, decided, now);
  const head = await writeHead(ctx, pool, (newest) => ({
    ...headAfterPlan(ctx, newest, decided, written, now),
    compared,
    tally: talliedBetween(newest.tally, before, written.ledger, knownEnvironments),
  }));
  const { granted, held } = written.ledger;
  await Promise.all([
    ...grantsToAnnounce(head, before, granted, now).map((grant) => announceGrant(ctx, grant)),
    requestNextPass(ctx, head, now),
    writeUsed(ctx, decided.used),
    advice ? writeAdvice(ctx, head, advice, pool.advised, now) : undefined,
  ]);
  const ms = Math.round(ctx.clock.monotonic() - startedAt);
  const counts = { granted: granted.length, held: held.length, waiting: head.summary.waiting };
  ctx.log.info("plan", { pool: pool.type, ...counts, named: named.length, nextMs: (head.dueAt ?? now) - now, ms });
  return () => updateForecast(ctx, decided, written.ledger, head);
}

/**
 * Forecasts the starts of waiting environments. If the stored forecast is outdated but too recent to replace, the pool
 * becomes due once the next forecast is allowed. A failure is only logged, because the forecast is advice.
 */
async function updateForecast(
  ctx: PlannerContext,
  { input, planned, waiting }: Decision,
  { type, granted, held }: Ledger,
  head: Pool,
): Promise<void> {
  const started = [...granted, ...held];
  const isPartial = waiting.reach.last !== null;
  try {
    const durations = () => readRuns(ctx, type);
    const outset = { type, plan: input, planned, number: head.plans, durations, started, isPartial };
    const againAt = await refreshForecast(ctx, outset);
    if (againAt !== undefined && !isDueBy(head, againAt)) await planAgain(ctx, head, againAt);
  } catch (error) {
    ctx.log.warn("no forecast", { pool: type, error: String(error) });
  }
}

function dueBy(head: Pool, at = head.dueAt): Pool {
  return at === undefined || isDueBy(head, at) ? head : { ...head, dueAt: at };
}

function isDueBy({ dueAt }: Pool, at: number): boolean {
  return dueAt !== undefined && dueAt <= at;
}

async function planAgain(ctx: PlannerContext, head: Pool, dueAt: number): Promise<void> {
  const written = await writeHead(ctx, head, (newest) => dueBy(newest, dueAt));
  await requestNextPass(ctx, written, ctx.clock.now());
}

/** Reports whether one of these waits unseen, or holds other capacity than the ledger shows. */
async function hasChanges(ctx: PlannerContext, pool: Pool, named: readonly string[]): Promise<boolean> {
  const { records } = await readByKey(ctx, named);
  // The offer of a restarted environment belongs to its former run.
  const listItems = (record: Environment) => [...listLedgerItems(ctx, record), ...(pool.offered[record.uid] ?? [])];
  const { records: items } = await readLedgerItems(ctx, records.flatMap(listItems));
  return records.some((record) => concerns(pool, items, record));
}

/**
 * Writes the head over another planner's, because it is advice. Changes by an operator or a listing are kept, and the
 * pool stays due as early as they set, because this plan did not see them. `changeRecord` does not fit: the first write
 * must start from the head that this plan read, and a failure must be a `Conflict`, so that the message is retried.
 */
async function writeHead(ctx: PlannerContext, pool: Pool, decide: (newest: Pool) => Pool): Promise<Pool> {
  let head = decide(pool);
  for (let tries = 0; tries < MOST_WRITES; tries++) {
    const written = await writeRecord(ctx, head);
    if (written) return written;
    const newest = (await findPool(ctx, pool.type)) ?? pool;
    head = dueBy(decide(newest), newest.dueAt);
  }
  throw new Conflict(keyText(pool));
}

const MOST_WRITES = 3;

/**
 * Returns new grants, and open grants whose message was probably lost. While the pool is closed there are none, because
 * no grant can be taken. After it reopens, it returns all.
 */
function grantsToAnnounce(
  { closed, openedAt = 0 }: Pool,
  before: Ledger,
  granted: readonly Grant[],
  now: number,
): Grant[] {
  if (closed) return [];
  const grantIds = new Set(before.granted.map(({ id }) => id));
  const { plannedAt } = before.pool.summary;
  const isOpened = openedAt >= plannedAt;
  return granted.filter(
    ({ id, at }) => isOpened || !grantIds.has(id) || timesAnnounced(now - at) > timesAnnounced(plannedAt - at),
  );
}

/** Shorter than the interval of plans with open grants, so the first of those plans announces a lost grant. */
const ANNOUNCED_AGAIN_MS = 4_000;

/**
 * Returns how often a grant of this age (ms) was announced again: after 4 s, at each doubling of its age, then each
 * minute. With thousands of open grants there are many plans a second. Announcing each grant in every plan would flood
 * the queue.
 */
function timesAnnounced(age: number): number {
  if (age >= MINUTE_MS) return timesAnnounced(MINUTE_MS - 1) + Math.floor(age / MINUTE_MS);
  return age < ANNOUNCED_AGAIN_MS ? 0 : 1 + Math.floor(Math.log2(age / ANNOUNCED_AGAIN_MS));
}

/** Sends the environment the keys of its ledger items, so that it reads them before it is due. */
async function announceGrant(ctx: PlannerContext, { key: environment, items }: Grant): Promise<void> {
  const key = keyOfText(environment);
  if (key) await requestReconcile(ctx, key, { for: [...new Set(items)] });
}

async function requestNextPass(ctx: PlannerContext, pool: Pool, now: number): Promise<void> {
  const wait = (pool.dueAt ?? now) - now;
  if (wait <= SWEEP_REACH_MS) await requestReconcile(ctx, poolKey(pool.type), { delayMs: Math.max(wait, 1) });
}
