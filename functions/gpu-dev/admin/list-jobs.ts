import * as z from "zod";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { listAnybodys, readUsernames } from "#core/admin/jobs.ts";
import type { Brief } from "#core/environments/record/read.ts";
import { readAdvice } from "#core/pools/advice.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { jobStatuses, statusOf } from "../jobs/parts/status.ts";
import { toJobSummary } from "../jobs/wire.ts";
import { AdminJob } from "./wire.ts";

const ListJobs = z.object({
  status: z.enum(jobStatuses).optional(),
  user: z.string().min(1).max(255).optional(),
  limit: wholeNumber(1, 500).default(50),
  offset: wholeNumber(0).default(0),
});
const Jobs = z.object({ jobs: z.array(AdminJob), total: z.int(), limit: z.int(), offset: z.int() });

/** Without `user`, lists only jobs that are not done, from an index that may be some seconds late. */
export const endpoint = gpuDev.get(
  "/v1/admin/jobs",
  {
    summary: "List the jobs of all users that are not done, or all jobs of one user",
    uses: ["table"],
    admin: true,
    query: ListJobs,
    reply: Jobs,
    timeoutSeconds: 29,
  },
  async ({ ctx, query, requestId }) => {
    const { status, user, limit, offset } = query;
    return audited(ctx, { action: "list_jobs", target: user ?? null, requestId }, async () => {
      const matches = (job: Brief) => status === undefined || status === statusOf(job);
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
