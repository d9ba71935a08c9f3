import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestExtension } from "#core/environments/verbs/requests.ts";
import type { Settings } from "#core/settings.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "./parts/job-id.ts";
import { durationHours } from "./parts/submission.ts";
import { ActionRequested, JobRef, toActionRequested } from "./wire.ts";

const ExtendJob = (settings: Settings) => z.object({ extension_hours: durationHours(settings) });
const HOUR_MS = 3_600_000;

export const endpoint = gpuDev.post(
  "/v1/jobs/{job_id}/extend",
  {
    summary: "Extend a job",
    uses: ["table", "queue"],
    params: JobRef,
    body: ExtendJob,
    reply: ActionRequested,
    creates: "uid",
  },
  async ({ ctx, params, body, resource }) => {
    const id = await findJobId(ctx, params);
    const action = await requestExtension(ctx, id, Math.round(body.extension_hours * HOUR_MS), resource.uid);
    return toActionRequested(id, action, body.extension_hours);
  },
);

export const handler = lambda(endpoint, { table, queue });
