import type { UserContext } from "../../../context.ts";
import { sharedUnits } from "../../../fleet.ts";
import type { Resources } from "../../../ports/compute.ts";
import { Problem } from "../../../problem.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import type { Environment } from "../record.ts";
import { changed, requeueAt } from "../step-result.ts";
import { addAction, closeActions, hasOpenAction } from "./actions.ts";
import { changeEnvironment, refuseUnlessRestartable } from "./change.ts";

/** Changes the limits within the grant: in place for a live run. Throws `notFound`, or `invalid` above its share. */
export async function requestResize(
  ctx: UserContext<"table" | "queue">,
  id: string,
  resources: Resources,
): Promise<Environment> {
  return changeEnvironment(ctx, id, (environment, now, token) => {
    refuseUnlessRestartable(ctx, environment, "resize");
    // Use the size of a remembered start, not of the run that is being stopped.
    const { units } = environment.goal.start?.size ?? environment.size;
    if (sharedUnits(resources) > units) {
      throw new Problem("invalid", `${ctx.noun} ${id} cannot have more than its share of the machine`, {
        errorCode: "limit",
      });
    }
    if (sameResources(environment.resources, resources)) return environment;
    const added = addAction(environment, { kind: "resize", at: now, noun: ctx.noun, writer: token });
    const resizing = { ...added, resources, run: { ...environment.run, resizing: undefined } };
    return isMade(environment) ? resizing : closeActions(resizing, ["resize"], now);
  });
}

export function sameResources(left: Resources | null, right: Resources | null): boolean {
  return left?.cpus === right?.cpus && left?.memoryMb === right?.memoryMb;
}

function isMade({ phase }: Environment): boolean {
  return phase === "preparing" || phase === "active";
}

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
