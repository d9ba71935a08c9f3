import type * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { isGone, isLongGone, type ListQuery } from "../schemas.ts";

export async function listSessions(
  ctx: UserContext<"table">,
  wanted: z.output<typeof ListQuery>,
): Promise<Environment[]> {
  const now = ctx.clock.now();
  const { shown } = await listEnvironments(ctx, { matches: (session) => !isLongGone(session, now) });
  return shown.filter((session) => {
    const { namespace, user } = session.labels;
    const isAsked = (wanted.namespace ?? namespace) === namespace && (wanted.user ?? user) === user;
    return isAsked && !isGone(session, now);
  });
}
