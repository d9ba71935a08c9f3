import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { table } from "#aws/table.ts";
import { openJupyter } from "#core/environments/record/access.ts";
import { type Brief, listEnvironments } from "#core/environments/record/read.ts";
import { readOutage } from "#core/environments/verbs/read-outage.ts";
import { readAdvice } from "#core/pools/advice.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { jobStatuses, statusOf } from "./parts/status.ts";
import { JobSummary, ownPace, toJobSummary } from "./wire.ts";

const words: readonly string[] = [...jobStatuses, "pending"];

/** A list of words separated by commas; nothing at all means every status. */
const Statuses = z
  .string()
  .transform((text) => text.split(",").map((word) => word.trim()))
  .transform((list) => (list.length === 1 && list[0] === "" ? undefined : list))
  .superRefine((list, ctx) => {
    if (list?.every((word) => words.includes(word)) ?? true) return;
    ctx.addIssue({ code: "custom", params: { type: "enum" }, message: `Input should be one of: ${words.join(", ")}` });
  })
  .optional();

const ListJobs = z.object({
  status: Statuses,
  name: z.string().min(1).max(128).optional(),
  ended_after: z.iso
    .datetime({ offset: true, message: "Input should be a time such as 2026-01-20T18:30:00Z" })
    .transform((text) => Date.parse(text))
    .optional(),
  limit: wholeNumber(1, 500).default(50),
  offset: wholeNumber(0).default(0),
});

/** Whether a job matches every filter that was given. */
function isAskedFor(job: Brief, { status, name, ended_after }: z.output<typeof ListJobs>): boolean {
  if (status && !status.includes(statusOf(job))) return false;
  if (name !== undefined && (job.name ?? name) !== name) return false;
  return ended_after === undefined || (job.end.outcome?.at ?? 0) > ended_after;
}

const Jobs = z.object({ jobs: z.array(JobSummary), total: z.int(), limit: z.int(), offset: z.int() });

export const endpoint = gpuDev.get(
  "/v1/jobs",
  {
    summary: "List your jobs, the newest first",
    uses: ["table", "sealer"],
    query: ListJobs,
    reply: Jobs,
    etag: ownPace,
  },
  async ({ ctx, query }) => {
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
  },
);

export const handler = lambda(endpoint, { table, sealer });
