import type { UserContext } from "../../../context.ts";
import { sharedUnits } from "../../../fleet.ts";
import type { Resources } from "../../../ports/compute.ts";
import { Problem } from "../../../problem.ts";
import type { Environment } from "../record.ts";
import { addAction, closeActions } from "./actions.ts";
import { changeEnvironment, refuseUnlessRestartable } from "./change.ts";

/**
 * Wants other limits for it, within what it was granted: a living run gets them in place, else the next one does.
 * Throws `notFound`, `invalid` for more than its share of the machine.
 */
export async function requestResize(
  ctx: UserContext<"table" | "queue">,
  id: string,
  resources: Resources,
): Promise<Environment> {
  return changeEnvironment(ctx, id, (environment, now, token) => {
    refuseUnlessRestartable(ctx, environment, "resize");
    // What a remembered start will be granted, not what the run that is being stopped had.
    const { units } = environment.goal.start?.size ?? environment.size;
    if (sharedUnits(resources) > units) {
      throw new Problem("invalid", `${ctx.noun} ${id} cannot have more than its share of the machine`, {
        errorCode: "limit",
      });
    }
    if (sameResources(environment.resources, resources)) return environment;
    const added = addAction(environment, { kind: "resize", at: now, noun: ctx.noun, writer: token });
    const asked = { ...added, resources, run: { ...environment.run, resizing: undefined } };
    return isMade(environment) ? asked : closeActions(asked, ["resize"], now);
  });
}

export function sameResources(one: Resources | null, other: Resources | null): boolean {
  return one?.cpus === other?.cpus && one?.memoryMb === other?.memoryMb;
}

/** A run of it may have been made with what it was to have before. */
function isMade({ phase }: Environment): boolean {
  return phase === "preparing" || phase === "active";
}
