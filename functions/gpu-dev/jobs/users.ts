import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { githubKeys } from "#aws/github-keys.ts";
import { queue } from "#aws/sqs/queue.ts";
import { addCollaborator, requestKey } from "#core/environments/verbs/actions.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkGithubUser } from "../../shared/internal/github-user.ts";
import { ActionRequested, exampleRequest, toActionRequested } from "./internal/action.ts";
import { GithubName, PublicKey } from "./internal/job-fields.ts";
import { findJobId, JobRef } from "./internal/job-id.ts";
import { toStatus } from "./internal/status.ts";

const NewUser = z
  .object({
    github_username: GithubName.nullish().describe(
      "The GitHub user whose SSH keys may log in. Send it or `public_key`, not both.",
    ),
    public_key: PublicKey.nullish().describe(
      "A public SSH key that may log in: one line of at most 4,096 characters, without options.",
    ),
  })
  .superRefine(
    ({ github_username, public_key }, ctx) => {
      const sources = [github_username, public_key].filter((value) => value !== undefined && value !== null);
      if (sources.length === 2) {
        ctx.addIssue({ code: "custom", path: [], message: "Send github_username or public_key, not both" });
      }
      if (sources.length > 0) return;
      ctx.addIssue({
        code: "custom",
        params: { type: "missing" },
        path: ["github_username"],
        message: "Field required: github_username, or public_key in its place",
      });
    },
    { when: ({ issues, value }) => issues.length === 0 && typeof value === "object" && value !== null },
  )
  .meta({ id: "AddJobUser" });

const route = createRoute({
  method: "post",
  path: "/v1/jobs/{job_id}/users",
  operationId: "addJobUser",
  tags: ["Jobs"],
  summary: "Let a GitHub user's SSH keys, or one key, into a job",
  description: "The keys of a GitHub user are fetched again each time that this is asked for.",
  request: {
    params: JobRef,
    body: jsonBody(NewUser, {
      "A GitHub user": { github_username: "jeanschmidt" },
      "A public key": {
        public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E me@laptop",
      },
    }),
  },
  responses: {
    200: jsonReply(
      ActionRequested,
      exampleRequest("add_user", "Add user request submitted for GitHub user 'jeanschmidt'"),
    ),
    409: problemReply("The status of the job does not allow it, or several of your jobs begin like this"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue", "githubKeys"], creates: "uid" },
  async ({ ctx, params, body, resource }) => {
    const id = await findJobId(ctx, params);
    const { github_username: name, public_key: publicKey } = body;
    if (publicKey) return toActionRequested(id, await requestKey(ctx, id, publicKey, toStatus, resource.uid));
    await checkGithubUser(ctx, { name: name ?? undefined, path: ["github_username"], needsKeys: true });
    return toActionRequested(id, await addCollaborator(ctx, id, name ?? "", toStatus, resource.uid));
  },
);

export const handler = lambda(endpoint, { table, queue, githubKeys });
