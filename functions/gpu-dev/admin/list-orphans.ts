import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { readOrphans } from "#core/admin/orphans.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { listOrphansExamples } from "./internal/examples.ts";
import { Orphans, toOrphans } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/admin/orphans",
  operationId: "listOrphans",
  tags: ["Admin"],
  summary:
    "Compute without a living record, removed after ten minutes, records without their compute, and volumes and snapshots that no record names",
  responses: { 200: jsonReply(Orphans, listOrphansExamples[200]) },
});

/** Returns the report of the schedule, because a request never asks the cluster. */
export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, requestId }) =>
  audited(ctx, { action: "list_orphans", target: null, requestId }, async () => toOrphans(await readOrphans(ctx))),
);

export const handler = lambda(endpoint, { table });
