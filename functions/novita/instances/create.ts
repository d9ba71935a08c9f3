import * as z from "zod";
import { fetch } from "#aws/fetch.ts";
import { githubKeys } from "#aws/github-keys.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkGithubUser } from "../../shared/parts/github-user.ts";
import { catalogueOf } from "../parts/catalogue.ts";
import { InstanceBody, newInstance } from "./parts/new-instance.ts";
import { withReadyTime } from "./parts/operation.ts";
import { refuseBadReceiver } from "./parts/receiver.ts";
import { Timestamp } from "./wire.ts";

const Created = z.object({
  instanceId: z.string(),
  status: z.literal("creating"),
  message: z.string(),
  estimatedReadyTime: Timestamp,
});

export const endpoint = novita.post(
  "/api/instances",
  {
    summary: "Create an instance",
    uses: ["table", "queue", "sealer", "fetch", "githubKeys"],
    body: (settings) => InstanceBody(catalogueOf(settings)),
    reply: Created,
    status: 201,
    creates: "inst",
  },
  async ({ ctx, body, resource }) => {
    await refuseBadReceiver(ctx, body.webhookUrl);
    await checkGithubUser(ctx, { name: body.githubUser, path: ["githubUser"], needsKeys: false });
    const instance = await createEnvironment(ctx, newInstance(catalogueOf(ctx.settings), resource, body));
    return {
      instanceId: instance.id,
      status: "creating" as const,
      ...(await withReadyTime(ctx, instance, "Instance creation initiated successfully")),
    };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch, githubKeys });
