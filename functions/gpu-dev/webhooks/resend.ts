import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { requestResend } from "#core/webhooks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DeliveryRef, exampleDelivery, toWebhookDelivery, WebhookDelivery } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/webhooks/deliveries/{delivery_id}/resend",
  operationId: "resendWebhookDelivery",
  tags: ["Webhooks"],
  summary: "Send a webhook again",
  request: { params: DeliveryRef },
  responses: {
    200: jsonReply(WebhookDelivery, {
      "On its way again": {
        ...exampleDelivery,
        state: "waiting",
        next_attempt_at: "2026-01-20T18:35:00Z",
        ended_at: null,
      },
    }),
    409: problemReply("It is on its way"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uid" },
  async ({ ctx, params, resource }) => toWebhookDelivery(await requestResend(ctx, params.delivery_id, resource.uid)),
);

export const handler = lambda(endpoint, { table, queue });
