import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { listAnybodysDeliveries } from "#core/admin/deliveries.ts";
import { readUsernames } from "#core/admin/jobs.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleDelivery, toWebhookDelivery, WebhookDelivery } from "../webhooks/schemas.ts";

const ListDeliveries = z.object({
  user: z.string().min(1).max(255).optional().describe("Only deliveries of the user of this name, ended ones too."),
  limit: wholeNumber(1, 100).default(50).describe("Maximum number of entries to return."),
  after: z.string().max(100).optional().describe("With `user`: the value of `next` on the page before."),
  environment_id: z.string().max(200).optional().describe("Only events about the environment of this id."),
});

const AdminDelivery = WebhookDelivery.extend({
  user_id: z.string().describe("The user name of the owner."),
}).meta({ id: "AdminWebhookDelivery" });

const Deliveries = z
  .object({
    deliveries: z.array(AdminDelivery).describe("The deliveries, newest first."),
    next: z.string().nullable().describe("With `user`: the value of `after` for the next page; null on the last one."),
  })
  .meta({ id: "AdminWebhookDeliveryList" });

const route = createRoute({
  method: "get",
  path: "/v1/admin/webhooks/deliveries",
  operationId: "listAllWebhookDeliveries",
  tags: ["Admin"],
  summary: "List the webhook deliveries of all users that wait for an attempt, or all of one user",
  request: { query: ListDeliveries },
  responses: {
    200: jsonReply(Deliveries, {
      "One delivery": { deliveries: [{ ...exampleDelivery, user_id: "jschmidt" }], next: null },
    }),
  },
});

/** Lists waiting deliveries only, unless `user` is given. Their index lags by seconds. */
export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table"], admin: true, timeoutSeconds: 29 },
  async ({ ctx, query, requestId }) => {
    const { user, limit, after, environment_id: environment } = query;
    return audited(ctx, { action: "list_deliveries", target: user ?? null, requestId }, async () => {
      const { deliveries, next } = await listAnybodysDeliveries(ctx, user, { limit, after, environment });
      const names = await readUsernames(
        ctx,
        deliveries.map(({ owner }) => owner),
      );
      return {
        deliveries: deliveries.map((delivery) => {
          return { ...toWebhookDelivery(delivery), user_id: names.get(delivery.owner) ?? delivery.owner };
        }),
        next,
      };
    });
  },
);

export const handler = lambda(endpoint, { table });
