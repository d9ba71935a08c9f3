import type { UserContext } from "#core/context.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import { findEnvironment } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { holdsNothing } from "#core/environments/verbs/start.ts";
import { Conflict, Problem } from "#core/problem.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { environmentKey } from "#core/store/keys.ts";
import { HttpError } from "#http/answers/http-error.ts";
import type { Served } from "#http/runtime.ts";
import { toStatus, type WorkspaceStatus } from "../schemas.ts";
import { listHostLabels } from "./host-label.ts";
import { newWorkspace } from "./new-workspace.ts";
import { containerExists, waitUntilRunning } from "./workspace.ts";

type NewBody = Parameters<typeof newWorkspace>[1];
type CreateContext = Served<UserContext<"table" | "queue" | "sealer">>;

/**
 * Creates a workspace and waits for it within the wait budget. Throws `conflict` if the id is in use, and
 * `unexpected` if it fails in that time, which removes it.
 */
export async function makeWorkspace(ctx: CreateContext, body: NewBody, resource: NewResource): Promise<Environment> {
  const { workspaceId: id } = body;
  const { uid } = await beginWorkspace(ctx, body, await notFailedBefore(ctx, id, resource));
  const made = await waitUntilRunning(ctx, id).catch(async (error: unknown) => {
    if (error instanceof HttpError) await removeUnused(ctx, id, uid);
    throw error;
  });
  if (!made) throw isBeingDeleted(id);
  return made;
}

/** Reuses the record of the request that this one repeats, unless it failed: a failed create leaves no trace. */
async function notFailedBefore(ctx: CreateContext, id: string, resource: NewResource): Promise<NewResource> {
  if (!resource.isRepeat) return resource;
  const item = await ctx.table.get(environmentKey(ctx.actor.uid, ctx.dialect, id));
  const made = item && parseEnvironment(item);
  const isOver = made !== undefined && (made.phase === "deleted" || holdsNothing(made));
  return isOver ? { ...resource, uid: ctx.ids.uid(), isRepeat: false } : resource;
}

async function beginWorkspace(ctx: CreateContext, body: NewBody, resource: NewResource): Promise<Environment> {
  for (const label of listHostLabels(ctx, body.workspaceId, body.cloudRegion)) {
    try {
      return await createEnvironment(ctx, newWorkspace(ctx, body, resource, label));
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
    const inUse = await findEnvironment(ctx, body.workspaceId);
    if (inUse && !holdsNothing(inUse)) throw refusals[toStatus(inUse)](inUse.id);
  }
  throw new Problem("unavailable", "Service unavailable");
}

/** Removes a workspace of this request that was never used. A workspace of another request under this id stays. */
async function removeUnused(ctx: CreateContext, id: string, uid: string): Promise<void> {
  const isUnused = (workspace: Environment) => workspace.uid === uid && workspace.times.firstActiveAt === null;
  const isGone = (workspace: Environment | undefined) => workspace === undefined;
  const environment = await requestDelete(ctx, id, { onlyIf: isUnused });
  if (environment.goal.desired === "deleted") await waitForEnvironment(ctx, id, isGone, REMOVAL_MS);
}

/** Time on top of the spent wait budget: a call ends at 29 s. */
const REMOVAL_MS = 2_000;

const isThere = (id: string) => new Problem("conflict", `workspace ${id} already exists. Start it or delete it first.`);
const isBeingDeleted = (id: string) => new Problem("conflict", `workspace ${id} is being deleted`);

const refusals = {
  CREATING: containerExists,
  STARTING: containerExists,
  RUNNING: containerExists,
  STOPPING: isThere,
  STOPPED: isThere,
  ERROR: isThere,
  DELETING: isBeingDeleted,
} as const satisfies Record<WorkspaceStatus, (id: string) => Problem>;
