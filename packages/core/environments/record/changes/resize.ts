import type { UserContext } from "../../../context.ts";
import { sharedUnits } from "../../../fleet.ts";
import type { Resources } from "../../../ports/compute.ts";
import { Problem } from "../../../problem.ts";
import type { Environment } from "../record.ts";
import { addAction, closeActions } from "./actions.ts";
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
