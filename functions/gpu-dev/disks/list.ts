import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listDisks } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { AS_PRINTED, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { Disk, exampleDisk, toDisk } from "./schemas.ts";

const ListDisks = z.object({
  deleted: z
    .enum(["true", "false"])
    .default("false")
    .describe("`true` lists the disks that are marked for deletion, and no others."),
});
const Disks = z
  .object({
    disks: z.array(Disk).describe("Your disks, newest first, without deleted ones unless those are asked for."),
    total: z.int().describe("Number of entries in all."),
  })
  .meta({ id: "DiskList" });

const route = createRoute({
  method: "get",
  path: "/v1/disks",
  operationId: "listDisks",
  tags: ["Disks"],
  summary: "List your disks, the newest first",
  request: { query: ListDisks },
  responses: {
    200: jsonReply(Disks, {
      "One disk": { disks: [exampleDisk], total: 1 },
      [AS_PRINTED]: { disks: [{ ...exampleDisk, user_id: "jschmidt@meta.com", reservation_id: "abc-123" }], total: 1 },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], etag: [] }, async ({ ctx, query }) => {
  const disks = (await listDisks(ctx, { deleted: query.deleted === "true" })).map((view) =>
    toDisk(view, ctx.actor.username),
  );
  return { disks, total: disks.length };
});

export const handler = lambda(endpoint, { table });
