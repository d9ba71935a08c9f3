import * as z from "zod";
import { table } from "#aws/table.ts";
import { listDisks } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { Disk, toDisk } from "./wire.ts";

const ListDisks = z.object({ deleted: z.enum(["true", "false"]).default("false") });
const Disks = z.object({ disks: z.array(Disk), total: z.int() });

export const endpoint = gpuDev.get(
  "/v1/disks",
  { summary: "List your disks, the newest first", uses: ["table"], query: ListDisks, reply: Disks, etag: [] },
  async ({ ctx, query }) => {
    const disks = (await listDisks(ctx, { deleted: query.deleted === "true" })).map((view) =>
      toDisk(view, ctx.actor.username),
    );
    return { disks, total: disks.length };
  },
);

export const handler = lambda(endpoint, { table });
