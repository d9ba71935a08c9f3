import type { UserContext } from "../../context.ts";
import { changeEnvironment } from "../record/changes/change.ts";
import { type Environment, isEnded } from "../record/record.ts";
import { decideEnd } from "../record/transitions.ts";
import { archiveOf } from "./archive.ts";

interface Deletion {
  /** Asked of the record that is about to be written: nothing is deleted where it says no. */
  readonly onlyIf?: (environment: Environment) => boolean;
}

/**
 * Wants it gone: compute, then its own volumes (with a zip of one of them kept where its policy says so), then the
 * record. From its stop too. Asked again, or when it ended already, it answers the record. Throws `notFound`.
 */
export async function requestDelete(
  ctx: UserContext<"table" | "queue">,
  id: string,
  { onlyIf = () => true }: Deletion = {},
): Promise<Environment> {
  return changeEnvironment(ctx, id, (environment, now) => {
    if (environment.end.outcome || isEnded(environment) || !onlyIf(environment)) return environment;
    const archive = archiveOf(environment, now);
    const decided = decideEnd(
      { ...environment, end: { ...environment.end, archive }, goal: { ...environment.goal, start: null } },
      { phase: "deleted", reason: null, at: now },
    );
    return { ...decided, waitPool: undefined, waitOrder: undefined };
  });
}
