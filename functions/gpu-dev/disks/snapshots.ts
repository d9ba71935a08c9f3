import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import type { DiskSnapshot } from "#core/disks/record.ts";
import { getDisk } from "#core/disks/view.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, exampleDisk, parseDiskName } from "./schemas.ts";

const Snapshot = z
  .object({
    snapshot_id: z.string().describe("The snapshot."),
    status: z
      .enum(["pending", "completed", "failed", "missing"])
      .describe("`completed` snapshots can be restored; a `missing` one was complete and is not visible now."),
    snapshot_date: Timestamp.describe("The point in time that the snapshot holds."),
    kind: z
      .enum(["backup", "on_demand"])
      .describe("Whether the snapshot is the backup of a job's end or was made on demand. Each kind is kept apart."),
  })
  .meta({ id: "Snapshot" });

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
  responses: {
    200: jsonReply(Snapshots, {
      "Two snapshots": {
        disk_name: exampleDisk.disk_name,
        snapshots: [
          {
            snapshot_id: "snap-1234567890abcdef0",
            status: "pending",
            snapshot_date: "2026-01-20T18:30:00Z",
            kind: "on_demand",
          },
          {
            snapshot_id: "snap-0fedcba9876543210",
            status: "completed",
            snapshot_date: "2026-01-19T18:30:00Z",
            kind: "backup",
          },
        ],
        total: 2,
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) => {
  const { name, disk } = await getDisk(ctx, parseDiskName(params));
  const snapshots = disk.snapshots.map(toSnapshot).reverse();
  return { disk_name: name, snapshots, total: snapshots.length };
});

export const handler = lambda(endpoint, { table });

/** Omits removed snapshots. `missing` marks one that cannot be found now. */
function toSnapshot(snapshot: DiskSnapshot): z.infer<typeof Snapshot> {
  const { id, at, completed, missedAt, failed, unremoved, onDemand } = snapshot;
  const kind = onDemand ? "on_demand" : "backup";
  const open = failed || unremoved ? "failed" : "pending";
  const whole = missedAt === undefined ? "completed" : "missing";
  return { snapshot_id: id, status: completed ? whole : open, snapshot_date: wholeSeconds(at), kind };
}
