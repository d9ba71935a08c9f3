import * as z from "zod";
import { fetch } from "#aws/fetch.ts";
import { githubKeys } from "#aws/github-keys.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { CREATION } from "#core/environments/record/actions.ts";
import { noDiskWords } from "#core/environments/record/disk-words.ts";
import { findEnvironment } from "#core/environments/record/read.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { Conflict } from "#core/problem.ts";
import { checkReceiver } from "#core/webhooks/receiver.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { idTaken } from "#http/keyed-create.ts";
import { Timestamp } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkGithubUser } from "../../shared/parts/github-user.ts";
import { otherJobWords } from "./parts/other-ways.ts";
import { commandOf, diskOf, nameOf, reservationIdOf, Submission, sizeOf, wantsJupyter } from "./parts/submission.ts";
import { loginOf, podNameOf } from "./wire.ts";

const Submitted = z.object({
  job_id: z.string(),
  status: z.literal("queued"),
  message: z.string(),
  estimated_start_time: Timestamp.nullable(),
  warning: z.string().optional(),
});

export const endpoint = gpuDev.post(
  "/v1/jobs/submit",
  {
    summary: "Submit a job",
    uses: ["table", "queue", "sealer", "fetch", "githubKeys"],
    body: Submission,
    instead: otherJobWords,
    reply: Submitted,
    creates: "uuid4",
    chosenId: reservationIdOf,
  },
  async ({ ctx, body, resource }) => {
    const { id } = resource;
    const disk = diskOf(body);
    const warning = disk ? undefined : noDiskWords(ctx.noun);
    const receiver = body.webhook_url ?? undefined;
    if (receiver !== undefined) await checkReceiver(ctx, receiver, "webhook_url");
    const github = body.github_user ?? body.env_vars?.GITHUB_USER;
    const path = body.github_user ? ["github_user"] : ["env_vars", "GITHUB_USER"];
    await checkGithubUser(ctx, { name: github, path, needsKeys: false });
    const asked = {
      ...resource,
      name: nameOf(body) ?? podNameOf(id),
      labels: github ? { github_user: github } : {},
      size: sizeOf(body),
      image: body.image,
      command: commandOf(body),
      env: body.env_vars ?? {},
      disk,
      login: loginOf(resource),
      guest: github || undefined,
      sshKeys: body.ssh_public_keys ?? [],
      jupyter: wantsJupyter(body),
      receiver,
      note: warning,
    };
    const job = await createEnvironment(ctx, asked).catch(async (error: unknown) => {
      const isTaken = error instanceof Conflict && (await findEnvironment(ctx, id)) !== undefined;
      throw isTaken ? idTaken(ctx.noun, id) : error;
    });
    const message = `Job submitted successfully to queue (message ID: ${CREATION})`;
    const answer = { job_id: job.id, status: "queued" as const, message, estimated_start_time: null };
    return warning === undefined ? answer : { ...answer, warning };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch, githubKeys });
