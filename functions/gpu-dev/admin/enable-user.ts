import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { enableUser } from "#core/users/disable.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { UserRef, UserState } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/users/{username}/enable",
  {
    summary: "Enable a user again, with the keys that have not ended",
    uses: ["table", "queue"],
    admin: true,
    params: UserRef,
    reply: UserState,
  },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "enable_user", target: params.username, requestId }, async () => {
      const { username, disabled } = await enableUser(ctx, params.username);
      return { username, disabled };
    }),
);

export const handler = lambda(endpoint, { table, queue });
