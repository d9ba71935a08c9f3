import { table } from "#aws/table.ts";
import { getEnvironment } from "#core/environments/read.ts";
import { readAdvice } from "#core/pools/advice.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#http/lambda.ts";
import { Job, JobRef, jobIdOf, toJob } from "./wire.ts";

export const endpoint = gpuDev.get(
  "/v1/jobs/{job_id}",
  { summary: "Show a job", uses: ["table"], params: JobRef, reply: Job },
  async ({ ctx, params }) => {
    const job = await getEnvironment(ctx, jobIdOf(params));
    const told = await readAdvice(ctx, [job]);
    return toJob(job, ctx.actor.username, told.get(job.uid));
  },
);

export const handler = lambda(endpoint, { table });
