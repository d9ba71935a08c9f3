import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { cancelAnybodys, findAnybodysIds } from "#core/admin/jobs.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { ActionRequested, exampleRequest, toActionRequested } from "../jobs/internal/action.ts";
import { findJobId, JobRef } from "../jobs/internal/job-id.ts";
import { OperatorReason } from "./schemas.ts";

/** An optional user, which also finds a job before the index lists it. */
const CancelJob = z
  .object({
    user: z
      .string()
      .min(1)
      .max(255)
      .nullish()
      .describe("The owner's user name. With it, a job that was submitted a second ago is found too."),
    reason: OperatorReason.shape.reason.describe("Why, in the operator's words. The owner reads it."),
  })
  .meta({ id: "CancelAnyJob" });

const route = createRoute({
  method: "post",
  path: "/v1/admin/jobs/{job_id}/cancel",
  operationId: "cancelAnyJob",
  tags: ["Admin"],
  summary: "Cancel anybody's job",
  request: {
    params: JobRef,
    body: jsonBody(CancelJob, {
      "Whoever has it": {},
      "This user's": { user: "jschmidt" },
      "With a reason": { reason: "New driver" },
    }),
  },
  responses: {
    200: jsonReply(ActionRequested, exampleRequest("cancel", "Cancellation request submitted")),
    409: problemReply("Several jobs begin like this, several users have it, or it ended"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, body, requestId }) => {
    const [username, reason] = [body.user ?? undefined, body.reason ?? undefined];
    const cancel = async () => {
      const id = await findJobId(ctx, params, (beginning) => findAnybodysIds(ctx, beginning, username));
      return toActionRequested(id, await cancelAnybodys(ctx, id, { username, reason }));
    };
    // An abbreviated id is ambiguous later, so the audit stores the whole one.
    const whole = ({ job_id }: { job_id: string }) => (job_id === params.job_id ? null : `Job ${job_id}`);
    return audited(ctx, { action: "cancel_job", target: params.job_id, requestId }, cancel, whole);
  },
);

export const handler = lambda(endpoint, { table, queue });
