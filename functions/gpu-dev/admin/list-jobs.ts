import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { listAnybodys, readUsernames } from "#core/admin/jobs.ts";
import type { Brief } from "#core/environments/record/read.ts";
import { readAdvice } from "#core/pools/forecast/advice.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { toJobSummary } from "../jobs/internal/job-summary.ts";
import { toStatus } from "../jobs/internal/status.ts";
import { StatusFilter } from "../jobs/internal/status-filter.ts";
import { exampleJob, JobSummary } from "../jobs/schemas.ts";

const ListJobs = z.object({
  status: StatusFilter.describe("Only jobs in one of these states: one, or several separated by commas."),
  user: z.string().min(1).max(255).optional().describe("Only jobs of the user of this name."),
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});
/** A job as operators see it, without any credentials. */
const AdminJob = JobSummary.omit({
  ssh_command: true,
  ssh_host_key: true,
  jupyter_url: true,
  jupyter_token: true,
  jupyter_port: true,
}).meta({ id: "AdminJob" });

const Jobs = z
  .object({
    jobs: z.array(AdminJob).describe("The jobs, newest first."),
    total: z.int().describe("Number of jobs that match the filter."),
    limit: z.int().describe("Maximum number of jobs to return, 1 to 500."),
    offset: z.int().describe("Number of entries to skip."),
  })
  .meta({ id: "AdminJobList" });

const route = createRoute({
  method: "get",
  path: "/v1/admin/jobs",
  operationId: "listAllJobs",
  tags: ["Admin"],
  summary: "List the jobs of all users that are not done, or all jobs of one user",
  request: { query: ListJobs },
  parameters: [{ name: "status", in: "query", example: "queued,active" }],
  responses: {
    200: jsonReply(Jobs, { "One job": { jobs: [AdminJob.parse(exampleJob)], total: 1, limit: 50, offset: 0 } }),
  },
});

/** Without `user`, lists only jobs that are not done, from an index with a lag of seconds. */
export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table"], admin: true, timeoutSeconds: 29 },
  async ({ ctx, query, requestId }) => {
    const { status, user, limit, offset } = query;
    return audited(ctx, { action: "list_jobs", target: user ?? null, requestId }, async () => {
      const matches = (job: Brief) => status === undefined || status.includes(toStatus(job));
      const { shown, total } = await listAnybodys(ctx, user, { matches, offset, limit });
      const owners = shown.map((job) => job.owner);
      const [advice, names] = await Promise.all([readAdvice(ctx, shown), readUsernames(ctx, owners)]);
      const now = ctx.clock.now();
      const jobs = shown.map((job) => {
        const username = names.get(job.owner) ?? job.owner;
        return toJobSummary(job, { username, advice: advice.get(job.uid), now, settings: ctx.settings });
      });
      return { jobs, total, limit, offset };
    });
  },
);

export const handler = lambda(endpoint, { table });
