import type * as z from "zod";
import { countWaiting } from "#core/chat/read.ts";
import type { UserContext } from "#core/context.ts";
import { getSession, type SessionRef, type SessionState, toSessionState } from "../schemas.ts";

export async function readSession(
  ctx: UserContext<"table">,
  params: z.infer<typeof SessionRef>,
): Promise<z.infer<typeof SessionState>> {
  const session = await getSession(ctx, params);
  return toSessionState(ctx.settings, session, { waiting: await countWaiting(ctx, session), now: ctx.clock.now() });
}
