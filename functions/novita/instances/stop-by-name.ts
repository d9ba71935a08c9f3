import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceNamed } from "./parts/named.ts";
import { required } from "./parts/new-instance.ts";
import { StopOperation } from "./parts/operation.ts";
import { StopInstance, stopInstance } from "./parts/stop-instance.ts";

const StopNamed = StopInstance.extend({ instanceName: required("Instance name is required for name-based stopping") });

export const endpoint = novita.post(
  "/api/instances/stop",
  {
    summary: "Stop your newest instance of a name",
    uses: ["table", "queue", "sealer", "fetch"],
    body: StopNamed,
    reply: StopOperation,
  },
  async ({ ctx, body }) => stopInstance(ctx, await instanceNamed(ctx, body.instanceName), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
