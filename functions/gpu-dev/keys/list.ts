import { table } from "#aws/table.ts";
import { listKeys } from "#core/users/keys.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { Keys } from "./wire.ts";

export const endpoint = gpuDev.get(
  "/v1/keys",
  { summary: "List your API keys that work", uses: ["table"], reply: Keys },
  async ({ ctx }) => {
    const live = await listKeys(ctx);
    const keys = live.map((key) => ({
      key_prefix: key.prefix,
      created_at: wholeSeconds(key.createdAt),
      expires_at: wholeSeconds(key.worksUntil),
      last_used_at: wholeSeconds(key.lastUsedAt),
      current: key.current,
    }));
    return { keys, total: keys.length };
  },
);

export const handler = lambda(endpoint, { table });
