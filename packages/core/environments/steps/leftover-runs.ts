import { StepTooOld } from "../../budget.ts";
import { patienceMs } from "../../patience.ts";
import type { WorkerContext } from "../../worker.ts";
import type { Environment } from "../record/record.ts";
import { changed } from "../record/step-result.ts";
import { LEFTOVERS_MS } from "../verbs/restart.ts";
import type { EnvironmentStep } from "./step.ts";

/** Runs before the last one that are looked for as well. */
const RUNS_LOOKED_FOR = 10;
const AGAIN_MS = 5_000;

/** Removes what a worker that slept made of earlier runs, and of this one too where it has none; whether there was any. */
export async function removeLeftoverRuns(
  ctx: WorkerContext,
  { uid, run: { n: run } }: Environment,
  which: "earlier" | "all",
): Promise<boolean> {
  let found = false;
  for (let one = which === "all" ? run : run - 1; one > Math.max(0, run - RUNS_LOOKED_FOR); one--) {
    if (!(await ctx.compute.observe(uid, one))) continue;
    found = true;
    await ctx.compute.remove(uid, one, { graceSeconds: 0, force: false });
  }
  return found;
}

/**
 * A started again environment has no looks after an end: they are taken beside its new run. What cannot be removed is
 * tried again, and keeps nothing of the new run waiting.
 */
export async function lookForLeftoverRuns(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<EnvironmentStep> {
  const found = await removeEarlier(ctx, environment);
  const last = environment.queuedAt + LEFTOVERS_MS[1];
  const next = now < last ? last : null;
  const leftoversAt = found ? now + Math.max(AGAIN_MS, patienceMs(now - environment.queuedAt)) : next;
  const step = changed(
    { ...environment, run: { ...environment.run, leftoversAt } },
    now,
    found ? "removed an earlier run" : "no earlier run",
  );
  return { ...step, record: { ...step.record, looks: environment.looks } };
}

/** Removes earlier runs and answers whether there was one; true too where nobody can tell. */
async function removeEarlier(ctx: WorkerContext, environment: Environment): Promise<boolean> {
  try {
    return await removeLeftoverRuns(ctx, environment, "earlier");
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    const { uid, run } = environment;
    ctx.log.warn("earlier runs not removed", { uid, run: run.n, error: String(error) });
    return true;
  }
}
