import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { rotateKey } from "#core/users/rotate.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";

const Rotated = z.object({
  api_key: z.string(),
  key_prefix: z.string(),
  user_id: z.int(),
  username: z.string(),
  expires_at: Timestamp,
});

export const endpoint = gpuDev.post(
  "/v1/keys/rotate",
  { summary: "Exchange your API key for a new one", uses: ["table", "queue"], reply: Rotated, endsKeys: true },
  async ({ ctx }) => {
    const { user, key } = await rotateKey(ctx);
    return {
      api_key: key.secret,
      key_prefix: key.prefix,
      user_id: user.number,
      username: user.username,
      expires_at: wholeSeconds(key.expiresAt),
    };
  },
);

export const handler = lambda(endpoint, { table, queue });
