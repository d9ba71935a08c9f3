import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import type { Context } from "#core/context.ts";
import type { Size } from "#core/environments/record/record.ts";
import { queueHours } from "#core/pools/admission/waiting-limit.ts";
import { findGroup } from "#core/pools/capacity/groups.ts";
import { estimateStart } from "#core/pools/forecast/estimate.ts";
import type { Answer } from "#core/pools/forecast/estimate-new-job.ts";
import { endsFirst, noMachineText, reasonText, takenText, type WaitEnd } from "#core/pools/plan/reasons.ts";
import { HOUR_MS } from "#core/units.ts";
import { checkReceiver } from "#core/webhooks/receiver.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { gpuHours } from "./internal/job-summary.ts";
import { exampleSubmissions, getSize, listSmallerSizes, otherJobFields, Submission } from "./internal/submission.ts";
import { EstimatedTimes } from "./schemas.ts";

const Estimated = EstimatedTimes.extend({
  queue_position: z.int().nullable().describe("Place in the queue, 1 is first; null unless the job is queued."),
  reason: z.string().describe("`Would start now`, or why the job would wait."),
  alternatives: z
    .array(
      z
        .object({
          gpu_count: z
            .int()
            .describe(
              "Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine.",
            ),
        })
        .extend(EstimatedTimes.shape)
        .meta({ id: "JobAlternative" }),
    )
    .describe("Smaller GPU counts that would start earlier, soonest first."),
  gpu_hours: z.number().describe("GPUs times the hours that the job asks for: what it uses if it runs to its end."),
  ignored: z
    .array(z.string())
    .optional()
    .describe("Unknown fields and parameters of the request. Omitted if there are none."),
}).meta({ id: "JobEstimate" });

const route = createRoute({
  method: "post",
  path: "/v1/jobs/estimate",
  operationId: "estimateJob",
  tags: ["Jobs"],
  summary: "Estimate when a job would start",
  description: "Takes what a submit takes and writes nothing.",
  request: { body: jsonBody(perDeployment(Submission), exampleSubmissions) },
  responses: {
    200: jsonReply(Estimated, {
      "One GPU, now": {
        estimated_start_time: "2026-01-20T18:00:00Z",
        estimated_start_latest: "2026-01-20T18:00:00Z",
        queue_position: 1,
        reason: "Would start now",
        alternatives: [],
        gpu_hours: 1,
      },
      "Later, or smaller and now": {
        estimated_start_time: "2026-01-20T18:30:00Z",
        estimated_start_latest: "2026-01-20T19:10:00Z",
        queue_position: 1,
        reason: "Need 8 H100 GPUs, only 4 available - position #1",
        alternatives: [
          {
            gpu_count: 4,
            estimated_start_time: "2026-01-20T18:00:00Z",
            estimated_start_latest: "2026-01-20T18:00:00Z",
          },
        ],
        gpu_hours: 32,
      },
    }),
    409: problemReply("The disk is in use, or there are 500 disks already"),
    410: problemReply("The disk is marked for deletion"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "fetch"], instead: otherJobFields },
  async ({ ctx, body, ignored }) => {
    const receiver = body.webhook_url ?? undefined;
    if (receiver !== undefined) await checkReceiver(ctx, receiver, "webhook_url");
    const size = getSize(body);
    const always = { gpu_hours: gpuHours(size, size.wantedMs), ...(ignored.length > 0 && { ignored: [...ignored] }) };
    const estimate = await estimateStart(ctx, { size, disk: body.disk_name ?? undefined }, listSmallerSizes(body));
    const noMachine = noMachineText(`after ${queueHours(ctx.settings, false)} hours`);
    if (estimate.kind === "noMachine") {
      const reason = `No ${size.pool.toUpperCase()} nodes available; ${noMachine}`;
      return { ...noTimes, queue_position: null, reason, alternatives: [], ...always };
    }
    if (estimate.kind === "noForecast") {
      return { ...noTimes, queue_position: null, reason: "No estimate was made yet", alternatives: [], ...always };
    }
    const { answer, alternatives } = estimate;
    const isMade = findGroup(ctx, size.pool) !== undefined;
    return {
      ...getTimes(answer),
      queue_position: answer.code === "taken" ? null : answer.position,
      reason: [
        formatReason(answer, size),
        ...(answer.code === "none" && !isMade ? [noMachine] : []),
        ...endsFirst(answer.code === "later" ? answer.after : answer.p50, getWaitEnd(ctx, answer.position === 1)),
      ].join("; "),
      alternatives: alternatives.map((alternative) => ({
        gpu_count: alternative.size.gpus,
        ...getTimes(alternative.answer),
      })),
      ...always,
    };
  },
);

export const handler = lambda(endpoint, { table, fetch });

const noTimes = { estimated_start_time: null, estimated_start_latest: null };

function getTimes({ p50, p90 }: Answer): z.infer<typeof EstimatedTimes> {
  return {
    estimated_start_time: p50 === null ? null : wholeSeconds(p50),
    estimated_start_latest: p90 === null ? null : wholeSeconds(p90),
  };
}

function getWaitEnd({ clock, settings }: Context, isFirst: boolean): WaitEnd {
  const hours = queueHours(settings, isFirst);
  return { at: clock.now() + hours * HOUR_MS, when: `after ${hours} hours`, isFirst };
}

function formatReason({ code, position, needed, available, lacks, after }: Answer, { pool }: Size): string {
  if (code === "now") return "Would start now";
  if (code === "later") return `Starts later than ${wholeSeconds(after)}`;
  if (code === "taken") return takenText({ needed, available }, pool);
  return reasonText({ code, position, needed, available, lacks }, pool);
}
