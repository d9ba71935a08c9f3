import type { UserContext } from "#core/context.ts";
import { findEnvironment } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { Problem } from "#core/problem.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { getRegion, type WorkspaceStatus } from "../schemas.ts";
import { idForm } from "./fields.ts";

interface Named {
  readonly workspaceId: string;
  readonly cloudRegion: string;
}

export async function findWorkspace(
  ctx: UserContext<"table">,
  { workspaceId, cloudRegion }: Named,
): Promise<Environment | undefined> {
  const found = await findEnvironment(ctx, workspaceId);
  return found && getRegion(found) === cloudRegion ? found : undefined;
}

export async function getWorkspace(ctx: UserContext<"table">, id: string): Promise<Environment> {
  const found = idForm.test(id) ? await findEnvironment(ctx, id) : undefined;
  if (!found) throw unknownWorkspace(id);
  return found;
}

export function unknownWorkspace(id: string): Problem {
  return new Problem("notFound", `workspace not found: ${id.slice(0, 64)}`);
}

export function containerExists(id: string): Problem {
  return new Problem("conflict", `container already exists for workspace ${id}. Use stop first if needed.`);
}

/** Rewords a conflict that was detected late, so that the answer does not depend on timing. */
export async function refusedAs<Done>(problem: Problem, deed: Promise<Done>): Promise<Done> {
  return deed.catch((error: unknown) => {
    throw error instanceof Problem && (error.kind === "notFound" || error.kind === "conflict") ? problem : error;
  });
}

/**
 * Watches a workspace on its way to RUNNING, for the wait budget. Returns undefined if it was deleted. Throws
 * `unexpected` if its run ended by itself.
 */
export async function waitUntilRunning(ctx: UserContext<"table">, id: string): Promise<Environment | undefined> {
  const isDecided = (workspace: Environment | undefined) =>
    workspace === undefined || workspace.phase === "active" || workspace.phase === "stopped";
  const seen = await waitForEnvironment(ctx, id, isDecided);
  if (seen && seen.run.error !== null) throw new HttpError("unexpected");
  return seen;
}

export function isToRun({ goal: { desired } }: Environment): boolean {
  return desired === "active";
}

/** Whether a container exists, or will unless a user stops it. */
export const hasContainer = {
  CREATING: true,
  STARTING: true,
  RUNNING: true,
  STOPPING: false,
  STOPPED: false,
  ERROR: false,
  DELETING: false,
} as const satisfies Record<WorkspaceStatus, boolean>;
