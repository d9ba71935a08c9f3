import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { pauseAdmission } from "#core/pools/admission/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, exampleAdmission, OperatorReason, toAdmissionState, toOperatorNote } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/admission/pause",
  operationId: "pauseAdmission",
  tags: ["Admin"],
  summary: "Start no new jobs at all; those that run go on",
  request: { body: jsonBody(OperatorReason, { "With a reason": { reason: "New driver" } }) },
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("Nothing starts", true)) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, body, requestId }) =>
    audited(ctx, { action: "pause_admission", target: null, requestId }, async () =>
      toAdmissionState(await pauseAdmission(ctx, true, toOperatorNote(ctx.actor.username, body)), ctx.clock.now()),
    ),
);

export const handler = lambda(endpoint, { table, queue });
