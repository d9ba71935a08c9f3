import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceNamed } from "./parts/named.ts";
import { required } from "./parts/new-instance.ts";
import { StartOperation } from "./parts/operation.ts";
import { StartInstance, startInstance } from "./parts/start-instance.ts";

const StartNamed = StartInstance.extend({
  instanceName: required("Instance name is required for name-based starting"),
});

export const endpoint = novita.post(
  "/api/instances/start",
  {
    summary: "Start your newest instance of a name",
    uses: ["table", "queue", "sealer", "fetch"],
    body: StartNamed,
    reply: StartOperation,
    status: 202,
  },
  async ({ ctx, body }) => startInstance(ctx, await instanceNamed(ctx, body.instanceName), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
