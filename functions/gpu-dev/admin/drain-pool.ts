import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import {
  AdmissionState,
  exampleAdmission,
  OperatorReason,
  PoolRef,
  parseGpuType,
  toAdmissionState,
  toOperatorNote,
} from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/pools/{gpu_type}/drain",
  operationId: "drainGpuType",
  tags: ["Admin"],
  summary: "Start no new jobs on a GPU type; those that run go on",
  request: { params: PoolRef, body: jsonBody(OperatorReason, { "With a reason": { reason: "New driver" } }) },
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("One is drained", false, "h100")) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, body, requestId }) =>
    audited(ctx, { action: "drain_pool", target: params.gpu_type, requestId }, async () =>
      toAdmissionState(await drainPool(ctx, parseGpuType(params), true, toOperatorNote(ctx.actor.username, body))),
    ),
);

export const handler = lambda(endpoint, { table, queue });
