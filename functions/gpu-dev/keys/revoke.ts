import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { revokeKey } from "#core/users/keys.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const KeyRef = z.object({ prefix: z.string().describe("The first 8 characters of the API key.") });
const Revoked = z
  .object({
    key_prefix: z.string().describe("The first 8 characters of the API key, which name it in lists and logs."),
    status: z.literal("revoked").describe("The API key is revoked, everywhere after some seconds."),
  })
  .meta({ id: "RevokedKey" });

const route = createRoute({
  method: "delete",
  path: "/v1/keys/{prefix}",
  operationId: "revokeKey",
  tags: ["Keys"],
  summary: "Revoke one of your API keys",
  request: { params: KeyRef },
  parameters: [{ name: "prefix", in: "path", example: "zHfR3kQ9" }],
  responses: { 200: jsonReply(Revoked, { Revoked: { key_prefix: "zHfR3kQ9", status: "revoked" } }) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], endsKeys: true }, async ({ ctx, params }) => {
  await revokeKey(ctx, params.prefix);
  return { key_prefix: params.prefix, status: "revoked" as const };
});

export const handler = lambda(endpoint, { table });
