import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { enableUser } from "#core/users/disable.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { UserRef, UserState } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/users/{username}/enable",
  operationId: "enableUser",
  tags: ["Admin"],
  summary: "Enable a user again, with the keys that have not ended",
  request: { params: UserRef },
  responses: { 200: jsonReply(UserState, { Enabled: { username: "alice", disabled: false } }) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "enable_user", target: params.username, requestId }, async () => {
      const { username, disabled } = await enableUser(ctx, params.username);
      return { username, disabled };
    }),
);

export const handler = lambda(endpoint, { table, queue });
