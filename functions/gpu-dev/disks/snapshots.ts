import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { getDisk } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { snapshotsExamples } from "./internal/examples.ts";
import { DiskRef, parseDiskName, Snapshot, toSnapshot } from "./schemas.ts";

const Snapshots = z
  .object({
    disk_name: z.string().describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    snapshots: z.array(Snapshot).describe("The disk's snapshots, newest first."),
    total: z.int().describe("Number of entries in all."),
  })
  .meta({ id: "DiskSnapshotList" });

const route = createRoute({
  method: "get",
  path: "/v1/disks/{disk_name}/snapshots",
  operationId: "listDiskSnapshots",
  tags: ["Disks"],
  summary: "List a disk's snapshots, the newest first",
  request: { params: DiskRef },
  responses: { 200: jsonReply(Snapshots, snapshotsExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) => {
  const { name, disk } = await getDisk(ctx, parseDiskName(params));
  const snapshots = disk.snapshots.map(toSnapshot).reverse();
  return { disk_name: name, snapshots, total: snapshots.length };
});

export const handler = lambda(endpoint, { table });
