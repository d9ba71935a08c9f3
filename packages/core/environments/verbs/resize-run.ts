import { StepTooOld } from "../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { closeActions, hasOpenAction } from "../record/changes/actions.ts";
import { sameResources } from "../record/changes/resize.ts";
import type { Environment } from "../record/record.ts";
import { changed, requeueAt } from "../record/step-result.ts";

/** Counted apart from other failures, so that neither those nor a hint exhaust these tries early. */
const MOST_TRIES = 4;

export async function resizeRun(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    uid,
    run: { n: run, resized, resizing },
    resources,
    requests: { count: revision },
  } = environment;
  if (resources === null) return undefined;
  if (sameResources(resources, resized)) {
    const isAsked = hasOpenAction(environment, "resize");
    return isAsked ? changed(closeActions(environment, ["resize"], now), now, "made with these limits") : undefined;
  }
  if (resizing && now < resizing.nextAt) return undefined;
  try {
    await ctx.compute.resize(uid, run, resources, revision);
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    const tries = (resizing?.tries ?? 0) + 1;
    ctx.log.warn("not resized", { uid, run, tries, error: String(error) });
    const nextAt = now + 2 ** tries * 1000;
    if (tries < MOST_TRIES) {
      return requeueAt(
        { ...environment, run: { ...environment.run, resizing: { tries, nextAt } } },
        nextAt,
        "not resized",
      );
    }
    const back = {
      ...environment,
      resources: resized ?? resources,
      run: { ...environment.run, resized: resized ?? resources, resizing: undefined },
    };
    return changed(closeActions(back, ["resize"], now, "Its limits could not be changed"), now, "not resized");
  }
  return changed(
    closeActions(
      { ...environment, run: { ...environment.run, resized: resources, resizing: undefined } },
      ["resize"],
      now,
    ),
    now,
    "resized",
  );
}
