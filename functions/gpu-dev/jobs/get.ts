import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { openJupyter } from "#core/environments/record/changes/access.ts";
import { getEnvironment } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { findCommand } from "#core/environments/record/spec.ts";
import type { TimelineEntry } from "#core/environments/record/timeline.ts";
import { readAdvice } from "#core/pools/forecast/advice.ts";
import { readOutage } from "#core/reconciler/cluster-state.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { AS_PRINTED, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { JobAction, toJobAction } from "./internal/action.ts";
import { findJobId, JobRef } from "./internal/job-id.ts";
import { type Beside, toJobSummary } from "./internal/job-summary.ts";
import { toStatus } from "./internal/status.ts";
import { exampleJob, JobStatus, JobSummary, ownPace, printedJob } from "./schemas.ts";

const Job = JobSummary.extend({
  command: z
    .string()
    .nullable()
    .describe(
      "The first 200 characters of the command. Only the owner sees them, in this answer alone. Null without a command, and once the job has ended.",
    ),
  actions: z.array(JobAction).describe("The 20 newest requests on the job, oldest first."),
  timeline: z
    .array(
      z
        .object({
          at: Timestamp.describe("When the state changed."),
          status: JobStatus.describe("The job's state from then on."),
          reason: z.string().nullable().describe("Why the state changed; null without a reason."),
        })
        .meta({ id: "JobTimelineEntry" }),
    )
    .describe("The 40 newest changes of state, oldest first."),
}).meta({ id: "Job" });

const past = {
  command: "python train.py --epochs 100",
  actions: [
    {
      id: 2,
      action: "enable_jupyter",
      status: "done",
      error: null,
      requested_at: "2026-01-20T18:05:00Z",
      completed_at: "2026-01-20T18:05:20Z",
    },
  ],
  timeline: [
    { at: "2026-01-20T18:00:00Z", status: "queued", reason: null },
    { at: "2026-01-20T18:01:00Z", status: "active", reason: null },
  ],
};

const route = createRoute({
  method: "get",
  path: "/v1/jobs/{job_id}",
  operationId: "getJob",
  tags: ["Jobs"],
  summary: "Show a job",
  request: { params: JobRef },
  responses: {
    200: jsonReply(Job, {
      "An active job": { ...exampleJob, ...past },
      [AS_PRINTED]: { ...printedJob(), ...past },
    }),
    409: problemReply("Several of your jobs begin like this"),
  },
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

const SHOWN_COMMAND = 200;

function toJob(environment: Environment, command: string | undefined, beside: Beside): z.infer<typeof Job> {
  return {
    ...toJobSummary(environment, beside),
    command: command === undefined ? null : [...command].slice(0, SHOWN_COMMAND).join(""),
    actions: environment.requests.list.flatMap((action) => toJobAction(action, environment)),
    timeline: environment.events.timeline.map((entry) => toTimelineEntry(entry, environment)),
  };
}

function toTimelineEntry(entry: TimelineEntry, environment: Environment): z.infer<typeof Job>["timeline"][number] {
  const { end, events } = environment;
  const isRequeued = events.timeline.some(({ n, phase }) => n > entry.n && phase === "queued");
  // A job may be cancelled on its way back to the queue.
  const isDecided = end.outcome !== null && end.outcome.at <= entry.at;
  const outcome = entry.phase === "stopping" && isDecided && !isRequeued ? end.outcome : null;
  return { at: wholeSeconds(entry.at), status: toStatus({ ...entry, end: { outcome } }), reason: entry.reason };
}
