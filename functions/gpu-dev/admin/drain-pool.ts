import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import { drainPart, planDrain } from "#core/pools/admission/drain-part.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
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
  description:
    "With `at`, it is drained at that time: until then, only jobs that end by then start there. A later call for the same part replaces time and reason. If the part is already drained, nothing changes.",
  request: {
    params: PoolRef,
    body: jsonBody(DrainRequest, {
      "With a reason": { reason: "New driver" },
      "One zone at a time": { zone: "us-east-2a", at: "2026-01-24T08:00:00Z", reason: "New switch" },
      "One machine": { node: "ip-10-0-12-34.us-east-2.compute.internal", reason: "Its fan is loud" },
    }),
  },
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("One is drained", false, "h100")) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, body, requestId }) => {
    const when = body.at ? ` at ${wholeSeconds(Date.parse(body.at))}` : "";
    const target = `${auditTarget(params, body)}${when}`;
    return audited(ctx, { action: "drain_pool", target, requestId }, async () => {
      const type = parseGpuType(params);
      const part = toPoolPart(body);
      const note = toOperatorNote(ctx.actor.username, body);
      const plan = body.at ? { ...note, from: Date.parse(body.at) } : undefined;
      const close = () => (part ? drainPart(ctx, type, part, note) : drainPool(ctx, type, true, note));
      const admission = plan ? await planDrain(ctx, type, part ?? {}, plan) : await close();
      return toAdmissionState(admission, ctx.clock.now());
    });
  },
);

export const handler = lambda(endpoint, { table, queue });
