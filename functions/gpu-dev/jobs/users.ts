import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestGuest } from "#core/environments/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { findJobId } from "./parts/job-id.ts";
import { githubName } from "./parts/submission.ts";
import { ActionRequested, JobRef, statusOf, toActionRequested } from "./wire.ts";

const NewUser = z.object({ github_username: z.string().regex(githubName) });

export const endpoint = gpuDev.post(
  "/v1/jobs/{job_id}/users",
  {
    summary: "Let a GitHub user's SSH keys into a job",
    uses: ["table", "queue"],
    params: JobRef,
    body: NewUser,
    reply: ActionRequested,
  },
  async ({ ctx, params, body }) => {
    const id = await findJobId(ctx, params);
    return toActionRequested(id, await requestGuest(ctx, id, body.github_username, statusOf));
  },
);

export const handler = lambda(endpoint, { table, queue });
