import { StepTooOld } from "../budget.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions, hasOpenAction } from "./actions.ts";
import { changed } from "./pace.ts";
import type { Environment } from "./record.ts";
import { sameResources } from "./resize.ts";

const MOST_ATTEMPTS = 3;

/** Gives a living run the limits that are wanted for it; undefined: it has them. */
export async function resizeRun(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    uid,
    run: { n: run, resized },
    resources,
    attempts,
  } = environment;
  if (resources === null) return undefined;
  if (sameResources(resources, resized)) {
    const isAsked = hasOpenAction(environment, "resize");
    return isAsked ? changed(closeActions(environment, ["resize"], now), now, "made with these limits") : undefined;
  }
  try {
    await ctx.compute.resize(uid, run, resources);
  } catch (error) {
    if (error instanceof StepTooOld || attempts < MOST_ATTEMPTS) throw error;
    const back = {
      ...environment,
      resources: resized ?? resources,
      run: { ...environment.run, resized: resized ?? resources },
    };
    return changed(closeActions(back, ["resize"], now, "Its limits could not be changed"), now, "not resized");
  }
  return changed(
    closeActions({ ...environment, run: { ...environment.run, resized: resources } }, ["resize"], now),
    now,
    "resized",
  );
}
