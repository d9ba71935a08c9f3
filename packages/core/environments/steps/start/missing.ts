import type { Observation } from "../../../ports/compute.ts";
import type { Step, WorkerContext } from "../../../reconciler/worker.ts";
import type { Environment } from "../../record/record.ts";
import { changed, lookAgainAt } from "../../record/step-result.ts";
import { endRun } from "../end/end-run.ts";

/** A run that one look did not see is looked for again no earlier than this, ten seconds by clocks 17 s apart. */
const AGAIN_MS = 27_000;

/**
 * Not seen is not gone (docs/architecture/failures.md#missing-runs): a run that one look misses is marked, and lost
 * only when a later one finds it neither by its name nor in the list of runs, which is that of its uid alone: thousands
 * that are missed at once would list all for each of them. It is marked as of the answer, which may have come long
 * after the look's read. A run that an earlier look saw being deleted needs no second miss: a deletion cannot be
 * undone.
 */
export async function missRun(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const {
    run: { missedAt, going },
  } = environment;
  if (going) return endUnlessListed(ctx, environment, now);
  const answeredAt = ctx.clock.now();
  if (missedAt === null)
    return lookAgainAt(
      { ...environment, run: { ...environment.run, missedAt: answeredAt } },
      answeredAt + AGAIN_MS,
      "does not see its compute",
    );
  if (now < missedAt + AGAIN_MS) return lookAgainAt(environment, missedAt + AGAIN_MS, "does not see its compute");
  return endUnlessListed(ctx, environment, now);
}

async function endUnlessListed(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const { uid, run } = environment;
  const listed = await ctx.compute.listRuns(uid);
  if (listed.some((one) => one.uid === uid && one.run === run.n)) return seesAgain(environment, now);
  return endRun(environment, now, "Its compute was deleted in the cluster, and not by Berth");
}

/** Notes whether the run is being deleted, and not by Berth: this is for runs that are wanted. */
export function noteGoing(environment: Environment, { terminating }: Observation): Environment {
  const going = terminating || undefined;
  return environment.run.going === going ? environment : { ...environment, run: { ...environment.run, going } };
}

/** The mark goes at once, in a write of its own: whatever fails after it, the next miss is a first one. */
export function seesAgain(environment: Environment, now: number): Step<Environment> {
  return changed(
    { ...environment, run: { ...environment.run, missedAt: null, going: undefined } },
    now,
    "sees its compute again",
  );
}
