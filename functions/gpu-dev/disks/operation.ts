import { table } from "#aws/table.ts";
import { getOperation } from "#core/disks/operations.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskOperation, OperationRef, operationOf, toDiskOperation } from "./wire.ts";

export const endpoint = gpuDev.get(
  "/v1/disks/{disk_name}/operations/{operation_id}",
  { summary: "Show what became of a request on a disk", uses: ["table"], params: OperationRef, reply: DiskOperation },
  async ({ ctx, params }) => {
    const { name, id } = operationOf(params);
    return toDiskOperation(await getOperation(ctx, ctx.actor.uid, name, id), name);
  },
);

export const handler = lambda(endpoint, { table });
