import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { githubKeys } from "#aws/github-keys.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { CREATION } from "#core/environments/record/changes/actions.ts";
import { noDiskMessage } from "#core/environments/record/disk/disk-use.ts";
import { findEnvironment } from "#core/environments/record/read.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { Conflict } from "#core/problem.ts";
import type { ChosenIds } from "#core/store/idempotency.ts";
import { checkReceiver } from "#core/webhooks/receiver.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { idTaken } from "#http/request/idempotency.ts";
import { AS_PRINTED, jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkGithubUser } from "../../shared/internal/github-user.ts";
import { JobId } from "./internal/job-id.ts";
import { formatPodName, gpuHours } from "./internal/job-summary.ts";
import {
  exampleSubmissions,
  findReservationId,
  getCommand,
  getDisk,
  getName,
  getPolicy,
  getSize,
  otherJobFields,
  Submission,
  wantsJupyter,
} from "./internal/submission.ts";
import { EstimatedTimes } from "./schemas.ts";

const Submitted = z
  .object({
    job_id: JobId,
    status: z.literal("queued").describe("The job is in the queue."),
    message: z.string().describe("A confirmation with the number of the request."),
    estimated_start_time: EstimatedTimes.shape.estimated_start_time,
    gpu_hours: z.number().describe("GPUs times the hours that the job asks for: what it uses if it runs to its end."),
    warning: z
      .string()
      .optional()
      .describe("What becomes of files, for a job without a disk; left out for a job with one."),
  })
  .meta({ id: "SubmittedJob" });

const submitted = {
  job_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  status: "queued",
  message: "Job submitted successfully to queue (message ID: 42)",
  estimated_start_time: null,
  gpu_hours: 1,
};

const route = createRoute({
  method: "post",
  path: "/v1/jobs/submit",
  operationId: "submitJob",
  tags: ["Jobs"],
  summary: "Submit a job",
  description: "The answer comes at once: the job is queued, and `GET /v1/jobs/{job_id}` shows it from then on.",
  request: {
    body: jsonBody(perDeployment(Submission), {
      ...exampleSubmissions,
      "A training run on a disk": {
        image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
        instance_type: "p5.48xlarge",
        duration_hours: 4,
        disk_name: "my-training-data",
        disk_size_gb: 100,
        env_vars: { WANDB_API_KEY: "secret", EXPERIMENT: "training-v1" },
        command: "python train.py --epochs 100",
      },
    }),
  },
  responses: {
    200: jsonReply(Submitted, { Queued: submitted, [AS_PRINTED]: { ...submitted, job_id: "abc-123-def-456" } }),
    400: problemReply("A field is missing or has the wrong form", {
      "No image": {
        detail: [
          {
            type: "missing",
            loc: ["body", "image"],
            msg: "Field required",
            input: { instance_type: "p5.48xlarge", duration_hours: 4 },
          },
        ],
      },
    }),
    409: problemReply(
      "The disk is in use, there are 500 disks already, there is a job of the `RESERVATION_ID`, or the Idempotency-Key " +
        "was used with another request",
      {
        "A disk in use": {
          detail: "Disk 'my-training-data' is currently in use by reservation 9e41c7d3-5b00-4c1a-8000-0123456789ab",
        },
      },
    ),
    410: problemReply("The disk is marked for deletion"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  {
    uses: ["table", "queue", "sealer", "fetch", "githubKeys"],
    instead: otherJobFields,
    creates: "uuid4",
    chosenId: findReservationId,
  },
  async ({ ctx, body, resource }) => {
    const { id } = resource;
    const disk = getDisk(body);
    const warning = disk ? undefined : noDiskMessage(ctx.noun);
    const receiver = body.webhook_url ?? undefined;
    if (receiver !== undefined) await checkReceiver(ctx, receiver, "webhook_url");
    const github = body.github_user ?? body.env_vars?.GITHUB_USER;
    const path = body.github_user ? ["github_user"] : ["env_vars", "GITHUB_USER"];
    await checkGithubUser(ctx, { name: github, path, needsKeys: false });
    const input = {
      ...resource,
      name: getName(body) ?? formatPodName(id),
      labels: github ? { github_user: github } : {},
      size: getSize(body),
      image: body.image,
      registryLogin: body.registry_auth ?? undefined,
      command: getCommand(body),
      env: body.env_vars ?? {},
      disk,
      login: formatLogin(resource),
      guest: github || undefined,
      sshKeys: body.ssh_public_keys ?? [],
      jupyter: wantsJupyter(body),
      receiver,
      note: warning,
      policy: getPolicy(body),
    };
    const job = await createEnvironment(ctx, input).catch(async (error: unknown) => {
      const isTaken = error instanceof Conflict && (await findEnvironment(ctx, id)) !== undefined;
      throw isTaken ? idTaken(ctx.noun, id) : error;
    });
    const message = `Job submitted successfully to queue (message ID: ${CREATION})`;
    const answer = {
      job_id: job.id,
      status: "queued" as const,
      message,
      estimated_start_time: null,
      gpu_hours: gpuHours(input.size, input.size.wantedMs),
    };
    return warning === undefined ? answer : { ...answer, warning };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch, githubKeys });

/**
 * Returns the SSH user name of a job. The server chooses the suffix, so a user cannot claim another user's SSH name.
 */
function formatLogin({ id, uid }: ChosenIds): string {
  return `${formatPodName(id)}-${uid.slice(0, 8)}`;
}
