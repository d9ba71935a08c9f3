import * as z from "zod";
import { table } from "#aws/table.ts";
import { listDisks } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { Disk, toDisk } from "./wire.ts";

const Disks = z.object({ disks: z.array(Disk), total: z.int() });

export const endpoint = gpuDev.get(
  "/v1/disks",
  { summary: "List your disks, the newest first", uses: ["table"], reply: Disks },
  async ({ ctx }) => {
    const disks = (await listDisks(ctx)).map((view) => toDisk(view, ctx.actor.username));
    return { disks, total: disks.length };
  },
);

export const handler = lambda(endpoint, { table });
