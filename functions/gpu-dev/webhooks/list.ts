import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listDeliveries } from "#core/webhooks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleDelivery, toWebhookDelivery, WebhookDelivery } from "./schemas.ts";

const ListDeliveries = z.object({
  limit: wholeNumber(1, 100).default(50).describe("Maximum number of entries to return."),
  after: z.string().max(100).optional().describe("The value of `next` on the page before."),
  environment_id: z
    .string()
    .max(200)
    .optional()
    .describe("The id of the job, instance or other environment that the event is about."),
});
const Deliveries = z
  .object({
    deliveries: z.array(WebhookDelivery).describe("The deliveries, newest first."),
    next: z.string().nullable().describe("The value of `after` for the next page; null on the last one."),
  })
  .meta({ id: "WebhookDeliveryList" });

const route = createRoute({
  method: "get",
  path: "/v1/webhooks/deliveries",
  operationId: "listWebhookDeliveries",
  tags: ["Webhooks"],
  summary: "List webhook deliveries, newest first",
  description: "Deliveries of all APIs. Kept for 7 days after their end; the URL is never shown.",
  request: { query: ListDeliveries },
  responses: {
    200: jsonReply(Deliveries, { "One that came the second time": { deliveries: [exampleDelivery], next: null } }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx, query }) => {
  const { limit, after, environment_id: environment } = query;
  const found = await listDeliveries(ctx, { limit, after, environment });
  return { deliveries: found.deliveries.map(toWebhookDelivery), next: found.next };
});

export const handler = lambda(endpoint, { table });
