import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { pauseAdmission } from "#core/pools/admission/admission.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdmissionState, exampleAdmission, toAdmissionState } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/admission/resume",
  operationId: "resumeAdmission",
  tags: ["Admin"],
  summary: "Start jobs again, but on drained GPU types",
  responses: { 200: jsonReply(AdmissionState, exampleAdmission("All start", false)) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table", "queue"], admin: true }, async ({ ctx, requestId }) =>
  audited(ctx, { action: "resume_admission", target: null, requestId }, async () =>
    toAdmissionState(await pauseAdmission(ctx, false), ctx.clock.now()),
  ),
);

export const handler = lambda(endpoint, { table, queue });
