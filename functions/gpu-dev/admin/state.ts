import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { readOperatorState } from "#core/admin/state.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { stateExamples } from "./internal/examples.ts";
import { AdminState, toAdminState } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/admin/state",
  operationId: "showAdminState",
  tags: ["Admin"],
  summary: "What operators closed or called dead, since when, and why",
  responses: { 200: jsonReply(AdminState, stateExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, requestId }) =>
  audited(ctx, { action: "show_state", target: null, requestId }, async () =>
    toAdminState(await readOperatorState(ctx)),
  ),
);

export const handler = lambda(endpoint, { table });
