import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { openJupyter } from "#core/environments/record/changes/access.ts";
import { getEnvironment } from "#core/environments/record/read.ts";
import { findCommand } from "#core/environments/record/spec.ts";
import { readOutage } from "#core/environments/verbs/read-outage.ts";
import { readAdvice } from "#core/pools/forecast/advice.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getExamples } from "./internal/examples.ts";
import { findJobId } from "./internal/job-id.ts";
import { Job, JobRef, ownPace, toJob } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/jobs/{job_id}",
  operationId: "getJob",
  tags: ["Jobs"],
  summary: "Show a job",
  request: { params: JobRef },
  responses: { 200: jsonReply(Job, getExamples[200]), 409: problemReply("Several of your jobs begin like this") },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "sealer"], etag: ownPace },
  async ({ ctx, params }) => {
    const job = await getEnvironment(ctx, await findJobId(ctx, params));
    const [advice, jupyter, outage, command] = await Promise.all([
      readAdvice(ctx, [job]),
      openJupyter(ctx, job),
      readOutage(ctx, [job]),
      findCommand(ctx, job),
    ]);
    const [now, { settings }] = [ctx.clock.now(), ctx];
    return toJob(job, command, {
      username: ctx.actor.username,
      advice: advice.get(job.uid),
      jupyter,
      outage,
      now,
      settings,
    });
  },
);

export const handler = lambda(endpoint, { table, sealer });
