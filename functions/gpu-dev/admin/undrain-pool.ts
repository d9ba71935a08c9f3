import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import { undrainPart } from "#core/pools/admission/drain-part.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import {
  AdmissionState,
  auditTarget,
  exampleAdmission,
  PoolRef,
  parseGpuType,
  toAdmissionState,
  toPoolPart,
  UndrainRequest,
} from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/pools/{gpu_type}/undrain",
  operationId: "undrainGpuType",
  tags: ["Admin"],
  summary: "Start jobs again on a GPU type, in one of its zones or node groups, or on one machine",
  description:
    "Each drain is undone by itself: without `zone`, `node_group` and `node`, the drained parts stay drained. A planned drain is dropped. If the part is not drained and no drain of it is planned, the answer is `404`.",
  request: { params: PoolRef, body: jsonBody(UndrainRequest, { "The type": {}, "One zone": { zone: "us-east-2a" } }) },
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("None is drained", false)) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true, creates: "uid" },
  async ({ ctx, params, body, resource, requestId }) =>
    audited(ctx, { action: "undrain_pool", target: auditTarget(params, body), requestId }, async () => {
      const [type, part] = [parseGpuType(params), toPoolPart(body)];
      const undrain = () => (part ? undrainPart(ctx, type, part, resource) : drainPool(ctx, type, false));
      return toAdmissionState(await undrain(), ctx.clock.now());
    }),
);

export const handler = lambda(endpoint, { table, queue });
