import * as z from "zod";
import { retriedGuests } from "#core/environments/record/changes/access.ts";
import type { Action, ActionKind } from "#core/environments/record/changes/actions.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { AS_PRINTED } from "#http/route.ts";
import { exampleJob } from "../schemas.ts";
import { JobId } from "./job-id.ts";
import { retryReason } from "./status.ts";

const actionNames = [
  "cancel",
  "extend",
  "enable_jupyter",
  "disable_jupyter",
  "add_user",
] as const satisfies readonly JobActionKind[];
type JobActionKind = Exclude<ActionKind, "resize">;

export const JobAction = z
  .object({
    id: z.int().describe('The number of the request on this job, the "message ID" of its answer.'),
    action: z.enum(actionNames).describe("The requested action."),
    status: z.enum(["requested", "done", "failed"]).describe("`requested` at first, then `done` or `failed`."),
    error: z.string().nullable().describe("Why the request failed, or why it is being tried again; null otherwise."),
    requested_at: Timestamp.describe("When it was requested."),
    completed_at: Timestamp.nullable().describe("When the request was done or failed; null until then."),
  })
  .meta({ id: "JobAction" });

export function toJobAction({ kind, ...action }: Action, { access }: Environment): z.infer<typeof JobAction>[] {
  if (kind === "resize") return [];
  const isRetried = action.status === "requested" && retriedGuests(access).includes(action.subject ?? "");
  const shown = {
    id: action.id,
    action: kind,
    status: action.status,
    error: isRetried ? retryReason([action.subject ?? ""]) : action.reason,
    requested_at: wholeSeconds(action.requestedAt),
    completed_at: action.completedAt === null ? null : wholeSeconds(action.completedAt),
  };
  return [shown];
}

export const ActionRequested = z
  .object({
    job_id: JobId,
    action: z.enum(actionNames).describe("The requested action."),
    status: z.literal("requested").describe("The request is recorded; `actions` of the job shows its outcome."),
    message: z.string().describe("A confirmation with the number of the request."),
  })
  .meta({ id: "JobActionRequested" });

export function exampleRequest(action: string, words: string) {
  const answer = { job_id: exampleJob.job_id, action, status: "requested", message: `${words} (message ID: 42)` };
  return { Requested: answer, [AS_PRINTED]: { ...answer, job_id: "abc-123-def-456" } };
}

export function toActionRequested(jobId: string, action: Action, hours?: number): z.infer<typeof ActionRequested> {
  const kind = action.kind as JobActionKind;
  const message = `${requested[kind]({ hours, user: action.subject })} (message ID: ${action.id})`;
  return { job_id: jobId, action: kind, status: "requested", message };
}

interface About {
  readonly hours: number | undefined;
  readonly user: string | undefined;
}

const requested = {
  cancel: () => "Cancellation request submitted",
  extend: ({ hours }: About) => `Extension request submitted for ${hours} hours`,
  enable_jupyter: () => "Jupyter enable request submitted",
  disable_jupyter: () => "Jupyter disable request submitted",
  add_user: ({ user }: About) => `Add user request submitted for ${formatWords(user ?? "")}`,
} as const satisfies Record<JobActionKind, (about: About) => string>;

function formatWords(user: string): string {
  return user.includes(":") ? "a public key" : `GitHub user '${user}'`;
}
