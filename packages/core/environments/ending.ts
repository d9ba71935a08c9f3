import { findPool, namesEnvironment } from "../pools/record.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions } from "./actions.ts";
import { changed, tellingPool, until, waitMs } from "./pace.ts";
import type { Environment } from "./record.ts";
import { enter } from "./transitions.ts";

const GRACE_SECONDS = 10;
/** When, after the end, the cluster is looked at for something that a sleeping worker made (design section 2). */
const LOOKS_AFTER_END_MS = [60_000, 600_000];
/** Runs before the last one that are looked for as well. */
const RUNS_LOOKED_FOR = 10;
const KEPT_SECONDS = 90 * 24 * 3600;

/** Removes the compute; only when nothing of it is left are the GPUs free and the end final. */
export async function stepStopping(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const { uid, run } = environment;
  const outcome = environment.outcome ?? { phase: "deleted", reason: null, at: now };
  const left = await ctx.compute.observe(uid, run);
  if (left) {
    await ctx.compute.remove(uid, run, { graceSeconds: GRACE_SECONDS, force: false });
    const wait = environment.looks === 0 ? 0 : waitMs({ looks: environment.looks - 1 });
    return until(environment, now + wait, "removes its compute");
  }
  const ended = enter(environment, outcome.phase, now, "Everything of it is removed, its machine is free");
  const released: Environment = { ...ended, reason: outcome.reason, grant: null, address: null, endedAt: now };
  const closed = closeActions(released, ["cancel", "extend"], now);
  return tellingPool(until(closed, now + (LOOKS_AFTER_END_MS[0] ?? 0), outcome.phase));
}

/** Terminal is not done: looks twice whether anything of it came back, and whether the pool let it go. */
export async function stepEnded(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const since = environment.cleanSince ?? environment.endedAt ?? now;
  const nextLook = since + (LOOKS_AFTER_END_MS[environment.cleanLooks] ?? 0);
  const pool = await findPool(ctx, environment.size.pool);
  if (pool && namesEnvironment(pool, environment.uid)) {
    return tellingPool(until(environment, now + 5000, "waits for its pool"));
  }
  if (now < nextLook) return until(environment, nextLook, "ended");
  if (await removeLeftovers(ctx, environment)) {
    return until({ ...environment, cleanSince: now, cleanLooks: 0 }, now + 5000, "removed what came back");
  }
  const cleanLooks = environment.cleanLooks + 1;
  const following = LOOKS_AFTER_END_MS[cleanLooks];
  if (following !== undefined) {
    return until({ ...environment, cleanLooks }, since + following, "clean");
  }
  const done = { ...environment, cleanLooks, ttl: Math.floor(now / 1000) + KEPT_SECONDS };
  return { ...changed(done, now, "done"), record: { ...done, dueAt: undefined } };
}

async function removeLeftovers(ctx: WorkerContext, environment: Environment): Promise<boolean> {
  let found = false;
  for (let run = environment.run; run > Math.max(0, environment.run - RUNS_LOOKED_FOR); run--) {
    if (!(await ctx.compute.observe(environment.uid, run))) continue;
    found = true;
    await ctx.compute.remove(environment.uid, run, { graceSeconds: 0, force: false });
  }
  return found;
}
