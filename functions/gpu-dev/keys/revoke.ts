import * as z from "zod";
import { table } from "#aws/table.ts";
import { revokeKey } from "#core/users/keys.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

const KeyRef = z.object({ prefix: z.string() });
const Revoked = z.object({ key_prefix: z.string(), status: z.literal("revoked") });

export const endpoint = gpuDev.delete(
  "/v1/keys/{prefix}",
  { summary: "Revoke one of your API keys", uses: ["table"], params: KeyRef, reply: Revoked, endsKeys: true },
  async ({ ctx, params }) => {
    await revokeKey(ctx, params.prefix);
    return { key_prefix: params.prefix, status: "revoked" as const };
  },
);

export const handler = lambda(endpoint, { table });
