import { findPool, namesEnvironment } from "../pools/record.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions } from "./actions.ts";
import { backUp } from "./backup.ts";
import { releaseDisk } from "./disk.ts";
import { copyLastLog, logEndsAt } from "./log.ts";
import { changed, tellingDisk, tellingPool, until, waitMs } from "./pace.ts";
import type { Environment } from "./record.ts";
import { enter } from "./transitions.ts";

const GRACE_SECONDS = 10;
/** When, after the end, the cluster is looked at for something that a sleeping worker made (design section 2). */
const LOOKS_AFTER_END_MS = [60_000, 600_000];
/** Runs before the last one that are looked for as well. */
const RUNS_LOOKED_FOR = 10;
const KEPT_SECONDS = 90 * 24 * 3600;
const DOOR_ACTIONS = ["enable_jupyter", "disable_jupyter", "add_user"] as const;
const TOO_LATE = "It ended before this was done";

/**
 * The order of the end (design section 2): compute removed and seen gone, GPUs free, disk backed up and let go, final.
 */
export async function stepStopping(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const { uid, run } = environment;
  const outcome = environment.outcome ?? { phase: "deleted", reason: null, at: now };
  const left = await ctx.compute.observe(uid, run);
  if (left) {
    const logged = await copyLastLog(ctx, environment, now);
    await ctx.compute.remove(uid, run, { graceSeconds: GRACE_SECONDS, force: false });
    const wait = environment.looks === 0 ? 0 : waitMs({ looks: environment.looks - 1 });
    return until(logged, now + wait, "removes its compute");
  }
  if (environment.grant) return tellingPool(changed({ ...environment, grant: null, address: null }, now, "released"));
  const { disk } = environment;
  if (disk?.attached && !disk.released) return backUp(ctx, environment, disk, now);
  if (disk && !disk.released) {
    await releaseDisk(ctx, environment, undefined);
    return tellingDisk(changed({ ...environment, disk: { ...disk, released: true } }, now, "let its disk go"));
  }
  const ended = enter(environment, outcome.phase, now, "Everything of it is removed");
  const final: Environment = { ...ended, reason: outcome.reason, endedAt: now };
  const closed = closeActions(closeActions(final, ["cancel", "extend"], now), DOOR_ACTIONS, now, TOO_LATE);
  return until(closed, now + (LOOKS_AFTER_END_MS[0] ?? 0), outcome.phase);
}

/** Terminal is not done: looks twice whether anything of it came back, and whether the pool let it go. */
export async function stepEnded(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  if (environment.cleanLooks >= LOOKS_AFTER_END_MS.length) return forget(ctx, environment, now);
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
  return forget(ctx, { ...environment, cleanLooks }, now);
}

/** The last that goes is its log: until then the record stays due, far ahead. */
async function forget(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const goesAt = logEndsAt(environment);
  if (goesAt !== undefined && now < goesAt) return until(environment, goesAt, "keeps its log");
  if (environment.log?.blob) await ctx.blobs.remove(environment.log.blob);
  const done = { ...environment, log: undefined, ttl: Math.floor(now / 1000) + KEPT_SECONDS, dueAt: undefined };
  return { record: done, sends: [], did: "done" };
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
