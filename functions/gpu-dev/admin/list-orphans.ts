import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { readOrphans } from "#core/admin/orphans.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { Orphans, toOrphans } from "./wire.ts";

/** Returns the report of the schedule, because a request never asks the cluster. */
export const endpoint = gpuDev.get(
  "/v1/admin/orphans",
  {
    summary:
      "Compute without a living record, removed after ten minutes, records without their compute, and volumes and snapshots that no record names",
    uses: ["table"],
    admin: true,
    reply: Orphans,
  },
  async ({ ctx, requestId }) =>
    audited(ctx, { action: "list_orphans", target: null, requestId }, async () => toOrphans(await readOrphans(ctx))),
);

export const handler = lambda(endpoint, { table });
