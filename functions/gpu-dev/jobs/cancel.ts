import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { ActionRequested, exampleRequest, toActionRequested } from "./internal/action.ts";
import { findJobId, JobRef } from "./internal/job-id.ts";

const route = createRoute({
  method: "post",
  path: "/v1/jobs/{job_id}/cancel",
  operationId: "cancelJob",
  tags: ["Jobs"],
  summary: "Cancel a job",
  description: "Shown as cancelled from the answer on. Its disk is kept.",
  request: { params: JobRef },
  responses: {
    200: jsonReply(ActionRequested, exampleRequest("cancel", "Cancellation request submitted")),
    409: problemReply("The status of the job does not allow it, or several of your jobs begin like this"),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table", "queue"] }, async ({ ctx, params }) => {
  const id = await findJobId(ctx, params);
  return toActionRequested(id, await requestCancel(ctx, id));
});

export const handler = lambda(endpoint, { table, queue });
