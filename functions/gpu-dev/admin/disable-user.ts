import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { Problem } from "#core/problem.ts";
import { disableUser } from "#core/users/disable.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { UserRef, UserState } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/users/{username}/disable",
  operationId: "disableUser",
  tags: ["Admin"],
  summary: "Disable a user: no new key, and those there are end within seconds; what runs goes on",
  request: { params: UserRef },
  responses: { 200: jsonReply(UserState, { Disabled: { username: "alice", disabled: true } }) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true, endsKeys: true },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "disable_user", target: params.username, requestId }, async () => {
      if (params.username === ctx.actor.username) throw new Problem("conflict", "You cannot disable yourself");
      const { username, disabled } = await disableUser(ctx, params.username);
      return { username, disabled };
    }),
);

export const handler = lambda(endpoint, { table, queue });
