import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { cancelAnybodys, findAnybodysIds } from "#core/admin/jobs.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "../jobs/parts/job-id.ts";
import { ActionRequested, JobRef, toActionRequested } from "../jobs/wire.ts";

/** The user need not be named; who names him reaches a job that was submitted this very second. */
const CancelJob = z.object({ user: z.string().min(1).max(255).nullish() });

export const endpoint = gpuDev.post(
  "/v1/admin/jobs/{job_id}/cancel",
  {
    summary: "Cancel anybody's job",
    uses: ["table", "queue"],
    admin: true,
    params: JobRef,
    body: CancelJob,
    reply: ActionRequested,
  },
  async ({ ctx, params, body, requestId }) => {
    const username = body.user ?? undefined;
    const cancel = async () => {
      const id = await findJobId(ctx, params, (beginning) => findAnybodysIds(ctx, beginning, username));
      return toActionRequested(id, await cancelAnybodys(ctx, id, username));
    };
    // The first characters of an id do not say for ever which job they stood for.
    const whole = ({ job_id }: { job_id: string }) => (job_id === params.job_id ? null : `Job ${job_id}`);
    return audited(ctx, { action: "cancel_job", target: params.job_id, requestId }, cancel, whole);
  },
);

export const handler = lambda(endpoint, { table, queue });
