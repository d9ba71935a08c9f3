import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import { drainPart } from "#core/pools/admission/drain-part.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import {
  AdmissionState,
  auditTarget,
  DrainRequest,
  exampleAdmission,
  PoolRef,
  parseGpuType,
  toAdmissionState,
  toOperatorNote,
  toPoolPart,
} from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/pools/{gpu_type}/drain",
  operationId: "drainGpuType",
  tags: ["Admin"],
  summary:
    "Start no new jobs on a GPU type, in one of its zones or node groups, or on one machine; those that run go on",
  request: {
    params: PoolRef,
    body: jsonBody(DrainRequest, {
      "With a reason": { reason: "New driver" },
      "One machine": { node: "ip-10-0-12-34.us-east-2.compute.internal", reason: "Its fan is loud" },
    }),
  },
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("One is drained", false, "h100")) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, body, requestId }) =>
    audited(ctx, { action: "drain_pool", target: auditTarget(params, body), requestId }, async () => {
      const [type, part, note] = [parseGpuType(params), toPoolPart(body), toOperatorNote(ctx.actor.username, body)];
      return toAdmissionState(await (part ? drainPart(ctx, type, part, note) : drainPool(ctx, type, true, note)));
    }),
);

export const handler = lambda(endpoint, { table, queue });
