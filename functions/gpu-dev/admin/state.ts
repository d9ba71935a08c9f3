import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { readOperatorState } from "#core/admin/state.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdminState, toAdminState } from "./wire.ts";

export const endpoint = gpuDev.get(
  "/v1/admin/state",
  {
    summary: "What operators closed or called dead, since when, and why",
    uses: ["table"],
    admin: true,
    reply: AdminState,
  },
  async ({ ctx, requestId }) =>
    audited(ctx, { action: "show_state", target: null, requestId }, async () =>
      toAdminState(await readOperatorState(ctx)),
    ),
);

export const handler = lambda(endpoint, { table });
