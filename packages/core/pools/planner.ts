import type { Key, Look } from "../context.ts";
import type { Environment } from "../environments/record.ts";
import { poolTypes } from "../fleet.ts";
import { withinReach } from "../hidden.ts";
import { keyOfText, keyText, kindOfKey, poolKey } from "../keys.ts";
import { SWEEP_REACH_MS, sendLook } from "../look.ts";
import { poisoned } from "../poison.ts";
import { Conflict } from "../problem.ts";
import { Unreadable } from "../unreadable.ts";
import type { PlannerContext } from "../worker.ts";
import { writeRecord } from "../write-record.ts";
import { writeAdvice } from "./advice.ts";
import { beginPool } from "./begin-pool.ts";
import { adviceOf, type Decision, decideGrants, headAfter } from "./decide.ts";
import { refreshForecast } from "./forecast-items.ts";
import { ledgerItemsOf, readLedgerForPlan, readLedgerItems } from "./ledger.ts";
import { readNamed } from "./named.ts";
import { findPool, type Grant, type Ledger, type Pool, poolTypeOf } from "./record.ts";
import { concerns, settle } from "./settle.ts";
import { talliedBetween } from "./tally.ts";
import { readRuns, returnedBetween, writeUsed } from "./used.ts";
import { writeLedger } from "./write-ledger.ts";

/**
 * Looks at pools, as they came in one batch: those at one pool are one look that names all their environments. A pool
 * that cannot be planned keeps no other one waiting; its error is thrown once all were tried.
 */
export async function reconcilePools(ctx: PlannerContext, looks: readonly Look[]): Promise<void> {
  const named = new Map<string, Set<string>>();
  for (const { look, for: environments = [] } of looks) {
    const all = named.get(look) ?? new Set();
    for (const environment of environments) all.add(environment);
    named.set(look, all);
  }
  const errors: unknown[] = [];
  for (const [look, environments] of named) {
    const key = keyOfText(look);
    if (key && isPool(key)) await lookAtPool(ctx, key, [...environments]).catch((error) => errors.push(error));
    else ctx.log.error("look at nothing", { look: look.slice(0, 200) });
  }
  if (errors.length > 0) throw errors[0];
}

/** A pool is there for each type of machine, and for nothing else that a message may name. */
function isPool(key: Key): boolean {
  return kindOfKey(key) === "pool" && poolTypes.includes(poolTypeOf(key));
}

const TRIES = 3;
const EARLY_MS = 2000;
/** A little less than after what time a pool with open grants looks at itself. */
const TOLD_AGAIN_MS = 4_000;

async function lookAtPool(ctx: PlannerContext, key: Key, named: readonly string[]): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await planOnce(ctx, key, named);
    } catch (error) {
      if (error instanceof Unreadable) return putOff(ctx, error);
      if (!(error instanceof Conflict)) throw error;
    }
  }
  await sendLook(ctx, key, { for: named, delayMs: 1000 });
}

/** A ledger that cannot be read: whoever is faster has put it off already. */
async function putOff(ctx: PlannerContext, error: Unreadable): Promise<void> {
  const now = ctx.clock.now();
  if (typeof error.item.dueAt === "number" && error.item.dueAt > now) return;
  const item = poisoned(ctx, error, now);
  if (item) await writeRecord(ctx, item);
}

/** Plans if the pool is due or if what the look names is news to it; otherwise the look is over after its reads. */
async function planOnce(ctx: PlannerContext, key: Key, named: readonly string[]): Promise<void> {
  const startedAt = ctx.clock.monotonic();
  const type = poolTypeOf(key);
  const found = (await findPool(ctx, type)) ?? (await beginPool(ctx, type));
  if (!found) throw new Conflict(keyText(key));
  const seenAt = ctx.clock.now();
  const pool = withinReach(ctx, found, seenAt);
  const early = (pool.dueAt ?? seenAt) - seenAt;
  if (early > 0 && !(await isNews(ctx, pool, named))) {
    if (early <= EARLY_MS && named.length === 0) await sendLook(ctx, key, { delayMs: 1000 });
    return;
  }
  const before = await readLedgerForPlan(ctx, pool);
  // After the ledger, though they may have been read before it: who had not taken its grant then may have taken it since.
  const { records } = await readNamed(ctx, named);
  const now = ctx.clock.now();
  const { ledger, known, compared } = await settle(ctx, before, records, now);
  const decided = await decideGrants(ctx, ledger, records, returnedBetween(before, ledger, known), now);
  const written = await writeLedger(ctx, before, decided.ledger);
  const advice = adviceOf(pool, decided, now);
  const head = await writeHead(ctx, pool, (newest) => ({
    ...headAfter(ctx, newest, decided, written, now),
    compared,
    tally: talliedBetween(newest.tally, before, written.ledger, known),
  }));
  const { granted, held } = written.ledger;
  await Promise.all([
    ...toTell(head, before, granted, now).map((grant) => tellGrant(ctx, grant)),
    sendNext(ctx, head, now),
    writeUsed(ctx, decided.used),
    advice ? writeAdvice(ctx, head, advice, pool.advised, now) : undefined,
  ]);
  await tellStarts(ctx, decided, written.ledger, head);
  const ms = Math.round(ctx.clock.monotonic() - startedAt);
  const counts = { granted: granted.length, held: held.length, waiting: head.summary.waiting };
  ctx.log.info("plan", { pool: pool.type, ...counts, named: named.length, nextMs: (head.dueAt ?? now) - now, ms });
}

/**
 * When those who wait will start: after everything that was granted is told, at most every 10 s, and at most a second of
 * CPU. The pool is due again when what the last one does not know of may be told. It is advice, so what fails here fails
 * nothing.
 */
async function tellStarts(
  ctx: PlannerContext,
  { input, planned, list }: Decision,
  { type, granted, held }: Ledger,
  head: Pool,
): Promise<void> {
  const started = [...granted, ...held].map(({ uid, at, owner, size }) => ({ uid, at, owner, size }));
  const isPartial = list.reach.last !== null;
  try {
    const durations = () => readRuns(ctx, type);
    const outset = { type, plan: input, planned, number: head.plans, durations, started, isPartial };
    const againAt = await refreshForecast(ctx, outset);
    if (againAt !== undefined && !isDueBy(head, againAt)) await planAgain(ctx, head, againAt);
  } catch (error) {
    ctx.log.warn("no forecast", { pool: type, error: String(error) });
  }
}

/** No later than it was due already. */
function dueBy(head: Pool, at = head.dueAt): Pool {
  return at === undefined || isDueBy(head, at) ? head : { ...head, dueAt: at };
}

function isDueBy({ dueAt }: Pool, at: number): boolean {
  return dueAt !== undefined && dueAt <= at;
}

async function planAgain(ctx: PlannerContext, head: Pool, dueAt: number): Promise<void> {
  const written = await writeHead(ctx, head, (newest) => dueBy(newest, dueAt));
  await sendNext(ctx, written, ctx.clock.now());
}

/** Whether one of these waits and was not seen, or has taken, moved or given back what its ledger items say. */
async function isNews(ctx: PlannerContext, pool: Pool, named: readonly string[]): Promise<boolean> {
  const { records } = await readNamed(ctx, named);
  // What was offered to one that was started again before it took that is of its former run.
  const itemsOf = (record: Environment) => [...ledgerItemsOf(ctx, record), ...(pool.offered[record.uid] ?? [])];
  const { records: items } = await readLedgerItems(ctx, records.flatMap(itemsOf));
  return records.some((record) => concerns(pool, items, record));
}

/**
 * The head is written over what another planner says of the same moment: it is advice. What an operator, or a listing of
 * the machines, has written there meanwhile stays, and makes the pool due no later than they said: this plan knows
 * nothing of it, and their look names nobody. Not by `changeRecord`: the first write goes on from the head that the plan
 * began with, and a planner that is always slower ends its look with a conflict instead of a request's answer.
 */
async function writeHead(ctx: PlannerContext, read: Pool, decide: (newest: Pool) => Pool): Promise<Pool> {
  let head = decide(read);
  for (let tries = 0; tries < TRIES; tries++) {
    const written = await writeRecord(ctx, head);
    if (written) return written;
    const newest = (await findPool(ctx, read.type)) ?? read;
    head = dueBy(decide(newest), newest.dueAt);
  }
  throw new Conflict(keyText(read));
}

/**
 * Those that are new, and those that are open for so long that the look that told them must be lost. None while the pool
 * is closed, when none could be taken, and all once it was opened.
 */
function toTell({ closed, openedAt = 0 }: Pool, before: Ledger, granted: readonly Grant[], now: number): Grant[] {
  if (closed) return [];
  const known = new Set(before.granted.map(({ id }) => id));
  const isOpened = openedAt >= before.pool.summary.plannedAt;
  return granted.filter(({ id, at }) => isOpened || !known.has(id) || now - at >= TOLD_AGAIN_MS);
}

/** Names the ledger items, so that the environment reads them although it is not due. Repeated while it has not taken. */
async function tellGrant(ctx: PlannerContext, { key: environment, items }: Grant): Promise<void> {
  const key = keyOfText(environment);
  if (key) await sendLook(ctx, key, { for: [...new Set(items)] });
}

async function sendNext(ctx: PlannerContext, pool: Pool, now: number): Promise<void> {
  const wait = (pool.dueAt ?? now) - now;
  if (wait <= SWEEP_REACH_MS) await sendLook(ctx, poolKey(pool.type), { delayMs: Math.max(wait, 1) });
}
