import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { listUsers } from "#core/admin/users.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const ListUsers = z.object({
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});

const AdminUser = z
  .object({
    username: z.string().describe("The user's name."),
    user_id: z.int().describe("The user's number."),
    disabled: z.boolean().describe("Whether the user is disabled."),
    key_count: z.int().describe("Number of API keys that have not expired, beside those of browsers."),
    web_session_count: z.int().describe("Number of browsers that are logged in."),
    last_issued_at: Timestamp.nullable().describe("When the newest of these keys was issued; null if there is none."),
  })
  .meta({ id: "AdminUser" });

const Users = z
  .object({
    users: z.array(AdminUser).describe("The users, by name."),
    total: z.int().describe("Number of users."),
    limit: z.int().describe("Maximum number of entries to return, 1 to 500."),
    offset: z.int().describe("Number of entries to skip."),
  })
  .meta({ id: "AdminUserList" });

const route = createRoute({
  method: "get",
  path: "/v1/admin/users",
  operationId: "listUsers",
  tags: ["Admin"],
  summary: "List all users by name",
  request: { query: ListUsers },
  responses: {
    200: jsonReply(Users, {
      "One user": {
        users: [
          {
            username: "alice",
            user_id: 7,
            disabled: false,
            key_count: 2,
            web_session_count: 1,
            last_issued_at: "2026-01-20T18:00:00Z",
          },
        ],
        total: 1,
        limit: 50,
        offset: 0,
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table"], admin: true },
  async ({ ctx, query: { limit, offset }, requestId }) =>
    audited(ctx, { action: "list_users", target: null, requestId }, async () => {
      const { users, total } = await listUsers(ctx, { limit, offset });
      return {
        users: users.map(({ username, number, disabled, keys, webSessions, lastIssuedAt }) => ({
          username,
          user_id: number,
          disabled,
          key_count: keys,
          web_session_count: webSessions,
          last_issued_at: lastIssuedAt === null ? null : wholeSeconds(lastIssuedAt),
        })),
        total,
        limit,
        offset,
      };
    }),
);

export const handler = lambda(endpoint, { table });
