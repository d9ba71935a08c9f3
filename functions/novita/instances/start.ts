import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceOf } from "./parts/named.ts";
import { StartOperation } from "./parts/operation.ts";
import { StartInstance, startInstance } from "./parts/start-instance.ts";
import { InstanceRef } from "./wire.ts";

export const endpoint = novita.post(
  "/api/instances/{instanceId}/start",
  {
    summary: "Start an instance on its own storage",
    uses: ["table", "queue", "sealer", "fetch"],
    params: InstanceRef,
    body: StartInstance,
    reply: StartOperation,
    status: 202,
  },
  async ({ ctx, params, body }) => startInstance(ctx, await instanceOf(ctx, params), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
