import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { openJupyter } from "#core/environments/record/changes/access.ts";
import { type Brief, listEnvironments } from "#core/environments/record/read.ts";
import { readAdvice } from "#core/pools/forecast/advice.ts";
import { readOutage } from "#core/reconciler/cluster-state.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { AS_PRINTED, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { toJobSummary } from "./internal/job-summary.ts";
import { toStatus } from "./internal/status.ts";
import { StatusFilter } from "./internal/status-filter.ts";
import { exampleJob, JobSummary, ownPace, printedJob } from "./schemas.ts";

const ListJobs = z.object({
  status: StatusFilter.describe("Only jobs in one of these states: one, or several separated by commas."),
  name: z.string().min(1).max(128).optional().describe("Only jobs of exactly this name."),
  ended_after: z.iso
    .datetime({ offset: true, message: "Input should be a time such as 2026-01-20T18:30:00Z" })
    .transform((text) => Date.parse(text))
    .optional()
    .describe("Only jobs that ended later than this time."),
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of jobs to return, 1 to 500."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});

function isAskedFor(job: Brief, { status, name, ended_after }: z.output<typeof ListJobs>): boolean {
  if (status && !status.includes(toStatus(job))) return false;
  if (name !== undefined && (job.name ?? name) !== name) return false;
  return ended_after === undefined || (job.end.outcome?.at ?? 0) > ended_after;
}

const Jobs = z
  .object({
    jobs: z.array(JobSummary).describe("The jobs, newest first."),
    total: z.int().describe("Number of jobs that match the filter."),
    limit: z.int().describe("Maximum number of jobs to return, 1 to 500."),
    offset: z.int().describe("Number of entries to skip."),
  })
  .meta({ id: "JobList" });

const route = createRoute({
  method: "get",
  path: "/v1/jobs",
  operationId: "listJobs",
  tags: ["Jobs"],
  summary: "List your jobs, the newest first",
  request: { query: ListJobs },
  parameters: [{ name: "status", in: "query", example: "active,preparing" }],
  responses: {
    200: jsonReply(Jobs, {
      "One job": { jobs: [exampleJob], total: 10, limit: 50, offset: 0 },
      [AS_PRINTED]: {
        jobs: [{ ...printedJob(), job_id: "abc-123", reservation_id: "abc-123" }],
        total: 10,
        limit: 50,
        offset: 0,
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table", "sealer"], etag: ownPace }, async ({ ctx, query }) => {
  const { limit, offset } = query;
  const matches = (job: Brief) => isAskedFor(job, query);
  const { shown, total } = await listEnvironments(ctx, { matches, offset, limit });
  const [advice, outage] = await Promise.all([readAdvice(ctx, shown), readOutage(ctx, shown)]);
  const { settings } = ctx;
  const { username } = ctx.actor;
  const now = ctx.clock.now();
  const summaries = shown.map(async (job) =>
    toJobSummary(job, {
      username,
      advice: advice.get(job.uid),
      jupyter: await openJupyter(ctx, job),
      outage,
      now,
      settings,
    }),
  );
  const jobs = await Promise.all(summaries);
  return { jobs, total, limit, offset };
});

export const handler = lambda(endpoint, { table, sealer });
