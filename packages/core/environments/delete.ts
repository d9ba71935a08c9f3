import type { UserContext } from "../context.ts";
import { archiveOf } from "./archive.ts";
import { changeEnvironment } from "./change.ts";
import { type Environment, isEnded } from "./record.ts";
import { decideEnd } from "./transitions.ts";

/**
 * Wants it gone: compute, then its own volumes (with a zip of one of them kept where its policy says so), then the
 * record. From its stop too. Asked again, or when it ended already, it answers the record. Throws `notFound`.
 */
export async function requestDelete(
  ctx: UserContext<"table" | "queue">,
  id: string,
  { archiveName }: { readonly archiveName?: string | undefined } = {},
): Promise<Environment> {
  return changeEnvironment(ctx, id, (environment, now) => {
    if (environment.end.outcome || isEnded(environment)) return environment;
    const archive = archiveOf(environment, now, archiveName);
    const decided = decideEnd(
      { ...environment, end: { ...environment.end, archive }, goal: { ...environment.goal, start: null } },
      { phase: "deleted", reason: null, at: now },
    );
    return { ...decided, waitPool: undefined, waitOrder: undefined };
  });
}
