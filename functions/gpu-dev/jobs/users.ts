import * as z from "zod";
import { githubKeys } from "#aws/github-keys.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestGuest, requestKey } from "#core/environments/verbs/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkGithubUser } from "../../shared/parts/github-user.ts";
import { findJobId } from "./parts/job-id.ts";
import { statusOf } from "./parts/status.ts";
import { GithubName, PublicKey } from "./parts/submission.ts";
import { ActionRequested, JobRef, toActionRequested } from "./wire.ts";

const NewUser = z.object({ github_username: GithubName.nullish(), public_key: PublicKey.nullish() }).superRefine(
  ({ github_username, public_key }, ctx) => {
    const given = [github_username, public_key].filter((value) => value !== undefined && value !== null);
    if (given.length === 2) {
      ctx.addIssue({ code: "custom", path: [], message: "Send github_username or public_key, not both" });
    }
    if (given.length > 0) return;
    ctx.addIssue({
      code: "custom",
      params: { type: "missing" },
      path: ["github_username"],
      message: "Field required: github_username, or public_key in its place",
    });
  },
  { when: ({ issues, value }) => issues.length === 0 && typeof value === "object" && value !== null },
);

export const endpoint = gpuDev.post(
  "/v1/jobs/{job_id}/users",
  {
    summary: "Let a GitHub user's SSH keys, or one key, into a job",
    uses: ["table", "queue", "githubKeys"],
    params: JobRef,
    body: NewUser,
    reply: ActionRequested,
    creates: "uid",
  },
  async ({ ctx, params, body, resource }) => {
    const id = await findJobId(ctx, params);
    const { github_username: name, public_key: publicKey } = body;
    if (publicKey) return toActionRequested(id, await requestKey(ctx, id, publicKey, statusOf, resource.uid));
    await checkGithubUser(ctx, { name: name ?? undefined, path: ["github_username"], needsKeys: true });
    return toActionRequested(id, await requestGuest(ctx, id, name ?? "", statusOf, resource.uid));
  },
);

export const handler = lambda(endpoint, { table, queue, githubKeys });
