import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { requestJupyter } from "#core/environments/verbs/actions.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { ActionRequested, exampleRequest, toActionRequested } from "./internal/action.ts";
import { findJobId, JobRef } from "./internal/job-id.ts";
import { toStatus } from "./internal/status.ts";

const route = createRoute({
  method: "post",
  path: "/v1/jobs/{job_id}/jupyter/disable",
  operationId: "disableJupyter",
  tags: ["Jobs"],
  summary: "Disable Jupyter on a job",
  request: { params: JobRef },
  responses: {
    200: jsonReply(ActionRequested, exampleRequest("disable_jupyter", "Jupyter disable request submitted")),
    409: problemReply("The status of the job does not allow it, or several of your jobs begin like this"),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table", "queue", "sealer"] }, async ({ ctx, params }) => {
  const id = await findJobId(ctx, params);
  return toActionRequested(id, await requestJupyter(ctx, id, false, toStatus));
});

export const handler = lambda(endpoint, { table, queue, sealer });
