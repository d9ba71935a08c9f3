import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestResend } from "#core/webhooks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DeliveryRef, toWebhookDelivery, WebhookDelivery } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/webhooks/deliveries/{delivery_id}/resend",
  {
    summary: "Send a webhook again",
    uses: ["table", "queue"],
    params: DeliveryRef,
    reply: WebhookDelivery,
    creates: "uid",
  },
  async ({ ctx, params, resource }) => toWebhookDelivery(await requestResend(ctx, params.delivery_id, resource.uid)),
);

export const handler = lambda(endpoint, { table, queue });
