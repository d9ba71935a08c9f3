import * as z from "zod";
import { retriedGuests } from "#core/environments/record/changes/access.ts";
import type { Action, ActionKind } from "#core/environments/record/changes/actions.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { retryReason } from "./status.ts";

export const actionNames = [
  "cancel",
  "extend",
  "enable_jupyter",
  "disable_jupyter",
  "add_user",
] as const satisfies readonly JobActionKind[];
export type JobActionKind = Exclude<ActionKind, "resize">;

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
