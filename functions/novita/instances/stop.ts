import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceOf } from "./parts/named.ts";
import { StopOperation } from "./parts/operation.ts";
import { StopInstance, stopInstance } from "./parts/stop-instance.ts";
import { InstanceRef } from "./wire.ts";

export const endpoint = novita.post(
  "/api/instances/{instanceId}/stop",
  {
    summary: "Stop an instance: its storage is kept",
    uses: ["table", "queue", "sealer", "fetch"],
    params: InstanceRef,
    body: StopInstance,
    reply: StopOperation,
  },
  async ({ ctx, params, body }) => stopInstance(ctx, await instanceOf(ctx, params), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
