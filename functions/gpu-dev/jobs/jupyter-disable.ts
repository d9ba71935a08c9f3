import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestJupyter } from "#core/environments/verbs/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "./parts/job-id.ts";
import { statusOf } from "./parts/status.ts";
import { ActionRequested, JobRef, toActionRequested } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/jobs/{job_id}/jupyter/disable",
  { summary: "Disable Jupyter on a job", uses: ["table", "queue", "sealer"], params: JobRef, reply: ActionRequested },
  async ({ ctx, params }) => {
    const id = await findJobId(ctx, params);
    return toActionRequested(id, await requestJupyter(ctx, id, false, statusOf));
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
