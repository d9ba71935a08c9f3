import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceOf } from "./parts/named.ts";
import { InstanceRef } from "./wire.ts";

const Deleted = z.object({ instanceId: z.string(), status: z.literal("deleted"), message: z.string() });

export const endpoint = novita.delete(
  "/api/instances/{instanceId}",
  {
    summary: "Delete an instance with its storage",
    uses: ["table", "queue"],
    params: InstanceRef,
    reply: Deleted,
    pace: "waits",
  },
  async ({ ctx, params }) => {
    const { id } = await instanceOf(ctx, params);
    await requestDelete(ctx, id);
    await waitForEnvironment(ctx, id, (found) => found === undefined);
    return { instanceId: id, status: "deleted" as const, message: "Instance deleted successfully" };
  },
);

export const handler = lambda(endpoint, { table, queue });
