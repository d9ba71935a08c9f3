import type { UserContext } from "#core/context.ts";
import { labelEnvironment } from "#core/environments/record/label.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { type Called, deletedLabel, getSession, notFound } from "../schemas.ts";

export async function deleteSession(ctx: UserContext<"table" | "queue">, id: string, called: Called): Promise<void> {
  const session = await getSession(ctx, id, called);
  if (session.end.outcome?.phase === "deleted") throw notFound(called);
  const {
    end: { outcome },
  } = await requestDelete(ctx, id);
  if (outcome?.phase !== "deleted") await labelEnvironment(ctx, id, { [deletedLabel]: "true" });
}
