import type { Observation } from "../../../ports/compute.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import type { Environment } from "../../record/record.ts";
import { changed, requeueAt } from "../../record/step-result.ts";
import { endInterrupted } from "../end/end-interrupted.ts";
import { endRun } from "../end/end-run.ts";
import { isTakenBack } from "../interruption.ts";

/** Time before the second check for a missed run: ten seconds on clocks that are 17 s apart. */
const AGAIN_MS = 27_000;

/**
 * Marks a missed run as of the answer; a second miss ends it (docs/architecture/failures.md#missing-runs). Lists only
 * this uid's runs, because thousands may be missed at once. A deletion that was seen needs no second miss.
 */
export async function markRunMissing(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  const {
    run: { missedAt, going },
  } = environment;
  if (going) return endUnlessListed(ctx, environment, now);
  const answeredAt = ctx.clock.now();
  if (missedAt === null)
    return requeueAt(
      { ...environment, run: { ...environment.run, missedAt: answeredAt } },
      answeredAt + AGAIN_MS,
      "does not see its compute",
    );
  if (now < missedAt + AGAIN_MS) return requeueAt(environment, missedAt + AGAIN_MS, "does not see its compute");
  return endUnlessListed(ctx, environment, now);
}

async function endUnlessListed(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const { uid, run } = environment;
  const listed = await ctx.compute.listRuns(uid);
  if (listed.some((listedRun) => listedRun.uid === uid && listedRun.run === run.n))
    return clearMissing(environment, now);
  const end = isTakenBack(environment) ? endInterrupted : endRun;
  return end(environment, now, "Its compute was deleted in the cluster, but not by Berth");
}

export function noteGoing(environment: Environment, { terminating }: Observation): Environment {
  const going = terminating || undefined;
  return environment.run.going === going ? environment : { ...environment, run: { ...environment.run, going } };
}

/** Clears the mark in a separate write, so that the next miss counts as the first even if a later call fails. */
export function clearMissing(environment: Environment, now: number): Step<Environment> {
  return changed(
    { ...environment, run: { ...environment.run, missedAt: null, going: undefined } },
    now,
    "sees its compute again",
  );
}
