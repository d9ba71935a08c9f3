import type { Key, Look } from "../context.ts";
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
import { decidePool } from "./decide.ts";
import { readNamed } from "./named.ts";
import { emptyPool, findPool, type Pool, poolTypeOf } from "./record.ts";
import { concerns, settle } from "./settle.ts";
import { returnedBetween, writeUsed } from "./used.ts";

/** Looks at pools, as they came in one batch: those at one pool are one look that names all their environments. */
export async function reconcilePools(ctx: PlannerContext, looks: readonly Look[]): Promise<void> {
  const named = new Map<string, Set<string>>();
  for (const { look, for: environments = [] } of looks) {
    const all = named.get(look) ?? new Set();
    for (const environment of environments) all.add(environment);
    named.set(look, all);
  }
  for (const [look, environments] of named) {
    const key = keyOfText(look);
    if (key && isPool(key)) await lookAtPool(ctx, key, [...environments]);
    else ctx.log.error("look at nothing", { look: look.slice(0, 200) });
  }
}

/** A pool is there for each type of machine, and for nothing else that a message may name. */
function isPool(key: Key): boolean {
  return kindOfKey(key) === "pool" && poolTypes.includes(poolTypeOf(key));
}

const TRIES = 3;
const EARLY_MS = 2000;

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
  const [type, look] = [poolTypeOf(key), keyText(key)];
  const found = (await findPool(ctx, type)) ?? emptyPool(ctx, type);
  const { records } = await readNamed(ctx, named);
  const now = ctx.clock.now();
  const pool = withinReach(ctx, found, now);
  const early = (pool.dueAt ?? now) - now;
  if (early > 0 && !records.some((record) => concerns(pool, record))) {
    if (early <= EARLY_MS && named.length === 0) await sendLook(ctx, key, { delayMs: 1000 });
    return;
  }
  const settled = await settle(ctx, pool, records, now);
  const decided = await decidePool(ctx, settled, records, returnedBetween(pool, settled), now);
  if (!(await writeRecord(ctx, decided.pool))) throw new Conflict(look);
  await Promise.all([
    ...decided.pool.granted.map((grant) => tellGrant(ctx, grant.key, type)),
    sendNext(ctx, decided.pool, now),
    writeUsed(ctx, decided.used),
    decided.advice ? writeAdvice(ctx, decided.pool, decided.advice, pool.advised, now) : undefined,
  ]);
  const ms = Math.round(ctx.clock.monotonic() - startedAt);
  const { granted, held, summary, dueAt } = decided.pool;
  const counts = { granted: granted.length, held: held.length, waiting: summary.waiting };
  ctx.log.info("plan", { pool: type, ...counts, named: named.length, nextMs: (dueAt ?? now) - now, ms });
}

/** Names the pool, so that the environment reads the ledger although it is not due. Repeated while it has not taken. */
async function tellGrant(ctx: PlannerContext, environment: string, type: string): Promise<void> {
  const key = keyOfText(environment);
  if (key) await sendLook(ctx, key, { for: [keyText(poolKey(type))] });
}

async function sendNext(ctx: PlannerContext, pool: Pool, now: number): Promise<void> {
  const wait = (pool.dueAt ?? now) - now;
  if (wait <= SWEEP_REACH_MS) await sendLook(ctx, poolKey(pool.type), { delayMs: Math.max(wait, 1) });
}
