import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestCancel } from "#core/environments/verbs/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "./parts/job-id.ts";
import { ActionRequested, JobRef, toActionRequested } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/jobs/{job_id}/cancel",
  { summary: "Cancel a job", uses: ["table", "queue"], params: JobRef, reply: ActionRequested },
  async ({ ctx, params }) => {
    const id = await findJobId(ctx, params);
    return toActionRequested(id, await requestCancel(ctx, id));
  },
);

export const handler = lambda(endpoint, { table, queue });
