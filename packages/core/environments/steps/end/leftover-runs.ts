import { pollBackoffMs } from "../../../reconciler/backoff.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { WorkerContext } from "../../../reconciler/step.ts";
import type { Environment } from "../../record/record.ts";
import { changed } from "../../record/step-result.ts";
import { LEFTOVERS_MS } from "../../verbs/restart.ts";
import type { EnvironmentStep } from "../step.ts";

const RUNS_BACK = 9;
const AGAIN_MS = 5_000;

/** Removes runs that a paused worker made late. "all" includes the present run. Reports whether there were any. */
export async function removeLeftoverRuns(
  ctx: WorkerContext,
  { uid, run: { n: run } }: Environment,
  range: "earlier" | "all",
): Promise<boolean> {
  let found = false;
  for (let number = range === "all" ? run : run - 1; number >= Math.max(1, run - RUNS_BACK); number--) {
    if (!(await ctx.compute.observe(uid, number))) continue;
    found = true;
    await ctx.compute.remove(uid, number, { graceSeconds: 0, force: false });
  }
  return found;
}

/**
 * Searches for leftover runs after a start, which cuts off the searches of the stop. The new run does not wait for it.
 */
export async function removeLeftoversOfRuns(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<EnvironmentStep> {
  const search = await removeEarlier(ctx, environment);
  const last = environment.queuedAt + LEFTOVERS_MS.second;
  const next = now < last ? last : null;
  const mayBeLeft = search !== "none";
  const leftoversAt = mayBeLeft ? now + Math.max(AGAIN_MS, pollBackoffMs(now - environment.queuedAt)) : next;
  const step = changed({ ...environment, run: { ...environment.run, leftoversAt } }, now, searchWords[search]);
  return { ...step, record: { ...step.record, looks: environment.looks } };
}

type Search = "none" | "removed" | "failed";

const searchWords = {
  none: "no earlier run",
  removed: "removed an earlier run",
  failed: "an earlier run may be left",
} satisfies Record<Search, string>;

async function removeEarlier(ctx: WorkerContext, environment: Environment): Promise<Search> {
  try {
    return (await removeLeftoverRuns(ctx, environment, "earlier")) ? "removed" : "none";
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    const { uid, run } = environment;
    ctx.log.warn("earlier runs not removed", { uid, run: run.n, error: String(error) });
    return "failed";
  }
}
