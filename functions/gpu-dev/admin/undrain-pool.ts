import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, exampleAdmission, PoolRef, parseGpuType, toAdmissionState } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/pools/{gpu_type}/undrain",
  operationId: "undrainGpuType",
  tags: ["Admin"],
  summary: "Start jobs on a GPU type again",
  request: { params: PoolRef },
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("None is drained", false)) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "undrain_pool", target: params.gpu_type, requestId }, async () =>
      toAdmissionState(await drainPool(ctx, parseGpuType(params), false)),
    ),
);

export const handler = lambda(endpoint, { table, queue });
