import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { Problem } from "#core/problem.ts";
import { disableUser } from "#core/users/disable.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { UserRef, UserState } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/users/{username}/disable",
  {
    summary: "Disable a user: no new key, and those there are end within seconds; what runs goes on",
    uses: ["table", "queue"],
    admin: true,
    params: UserRef,
    reply: UserState,
    endsKeys: true,
  },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "disable_user", target: params.username, requestId }, async () => {
      if (params.username === ctx.actor.username) throw new Problem("conflict", "You cannot disable yourself");
      const { username, disabled } = await disableUser(ctx, params.username);
      return { username, disabled };
    }),
);

export const handler = lambda(endpoint, { table, queue });
