import type { UserContext } from "../../../context.ts";
import { sharedUnits } from "../../../fleet.ts";
import type { Resources } from "../../../ports/compute.ts";
import { Problem } from "../../../problem.ts";
import type { Environment } from "../record.ts";
import { addAction, closeActions } from "./actions.ts";
import { changeEnvironment, refuseUnlessRestartable } from "./change.ts";

/**
 * Changes the limits of an environment within its grant. A live run gets them in place, otherwise the next run does.
 * Throws `notFound`, or `invalid` for more than its share of the machine.
 */
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

/** Reports whether a run may exist with the earlier limits. */
function isMade({ phase }: Environment): boolean {
  return phase === "preparing" || phase === "active";
}
