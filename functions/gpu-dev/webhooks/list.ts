import * as z from "zod";
import { table } from "#aws/table.ts";
import { listDeliveries } from "#core/webhooks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { toWebhookDelivery, WebhookDelivery } from "./wire.ts";

const ListDeliveries = z.object({
  limit: wholeNumber(1, 100).default(50),
  after: z.string().max(100).optional(),
  environment_id: z.string().max(200).optional(),
});
const Deliveries = z.object({
  deliveries: z.array(WebhookDelivery),
  /** To be sent as `after`; null: there are no older ones. */
  next: z.string().nullable(),
});

export const endpoint = gpuDev.get(
  "/v1/webhooks/deliveries",
  { summary: "List webhook deliveries, newest first", uses: ["table"], query: ListDeliveries, reply: Deliveries },
  async ({ ctx, query }) => {
    const { limit, after, environment_id: environment } = query;
    const found = await listDeliveries(ctx, { limit, after, environment });
    return { deliveries: found.deliveries.map(toWebhookDelivery), next: found.next };
  },
);

export const handler = lambda(endpoint, { table });
