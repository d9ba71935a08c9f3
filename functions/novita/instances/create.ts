import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { githubKeys } from "#aws/github-keys.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonBody, jsonReply, perDeployment } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkGithubUser } from "../../shared/internal/github-user.ts";
import { loadCatalogue } from "../internal/catalogue.ts";
import { InstanceBody, newInstance, refuseBadReceiver } from "./internal/new-instance.ts";
import { withReadyTime } from "./internal/operation.ts";
import { exampleInstance, Timestamp } from "./schemas.ts";

const Created = z
  .object({
    instanceId: z.string().describe("The instance's id."),
    status: z.literal("creating").describe("The instance's current state."),
    message: z.string().describe("What happened, in words."),
    estimatedReadyTime: Timestamp.describe(
      "When the instance is expected to be ready, or was. `message` says where its run fails before that.",
    ),
  })
  .meta({ id: "InstanceCreated" });

const route = createRoute({
  method: "post",
  path: "/api/instances",
  operationId: "createInstance",
  tags: ["Instances"],
  summary: "Create an instance",
  request: {
    body: jsonBody(
      perDeployment((settings) => InstanceBody(loadCatalogue(settings)).meta({ id: "CreateInstance" })),
      {
        "A GPU with PyTorch and Jupyter": {
          name: "my-instance",
          productName: "RTX 4090 24GB",
          templateId: "pytorch-jupyter",
        },
        "One that tells a receiver": {
          name: "my-gpu-instance",
          productName: "RTX 4090 24GB",
          templateId: "pytorch-jupyter",
          webhookUrl: "https://your-app.com/webhook",
        },
      },
    ),
  },
  responses: {
    201: jsonReply(
      Created,
      {
        "On its way": {
          instanceId: exampleInstance.id,
          status: "creating",
          message: "Instance creation initiated successfully",
          estimatedReadyTime: "2026-01-20T18:05:00.000Z",
        },
      },
      "Created",
    ),
  },
});

export const endpoint = novita.endpoint(
  route,
  { uses: ["table", "queue", "sealer", "fetch", "githubKeys"], creates: "inst" },
  async ({ ctx, body, resource }) => {
    await refuseBadReceiver(ctx, body.webhookUrl);
    await checkGithubUser(ctx, { name: body.githubUser, path: ["githubUser"], needsKeys: false });
    const instance = await createEnvironment(ctx, newInstance(loadCatalogue(ctx.settings), resource, body));
    return {
      instanceId: instance.id,
      status: "creating" as const,
      ...(await withReadyTime(ctx, instance, "Instance creation initiated successfully")),
    };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch, githubKeys });
