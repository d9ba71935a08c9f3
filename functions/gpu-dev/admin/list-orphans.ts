import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { type OrphanReport, readOrphans } from "#core/admin/orphans.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleRecord } from "./schemas.ts";

const sighting = {
  record: z.string().describe("The record's key."),
  uid: z.string().describe("The id that the environment keeps for its whole life."),
  run: z.int().describe("Number of the environment's start, counted from 1."),
  why: z.string().describe("The reason as text."),
  first_seen_at: Timestamp.describe("When this was first seen."),
  sightings: z.int().describe("Number of times this was seen."),
};

const Orphans = z
  .object({
    checked_at: Timestamp.nullable().describe(
      "When the cluster was last compared with the records; null before the first comparison.",
    ),
    run_count: z.int().describe("Number of runs without a living record; `runs` may list fewer."),
    runs: z
      .array(
        z
          .object({
            ...sighting,
            gpu_type: z.string().nullable().describe("The type of GPU."),
            gpu_count: z
              .int()
              .nullable()
              .describe(
                "Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine.",
              ),
          })
          .meta({ id: "OrphanRun" }),
      )
      .describe("Runs on the cluster without a living record."),
    record_count: z.int().describe("Number of records without their run; `records` may list fewer."),
    records: z
      .array(z.object(sighting).meta({ id: "OrphanRecord" }))
      .describe("Records whose run is not on the cluster."),
    volume_count: z.int().describe("Number of volumes that no record names; `volumes` may list fewer."),
    volumes: z
      .array(
        z
          .object({
            record: z.string().nullable().describe("The record that it was made for; null where nothing says it."),
            volume: z.string().describe("The volume's id."),
            why: z.string().describe("The reason as text."),
            first_seen_at: Timestamp.describe("When this was first seen."),
            sightings: z.int().describe("Number of times this was seen."),
          })
          .meta({ id: "OrphanVolume" }),
      )
      .describe("Volumes that no record names, at most 50. Nothing removes them."),
    snapshot_count: z.int().describe("Number of snapshots of disks that no record names; `snapshots` may list fewer."),
    snapshots: z
      .array(
        z
          .object({
            record: z.string().nullable().describe("The record of its disk, as its tags name it."),
            snapshot: z.string().describe("The snapshot's id."),
            why: z.string().describe("The reason as text."),
            first_seen_at: Timestamp.describe("When this was first seen."),
            sightings: z.int().describe("Number of times this was seen."),
          })
          .meta({ id: "OrphanSnapshot" }),
      )
      .describe("Snapshots of disks that no record names, at most 50. Nothing removes them."),
    removed_count: z.int().describe("Number of runs removed so far."),
    removed: z
      .array(
        z
          .object({
            record: z.string().describe("The record's key."),
            uid: z.string().describe("The id that the environment keeps for its whole life."),
            run: z.int().describe("Number of the environment's start, counted from 1."),
            why: z.string().describe("The reason as text."),
            removed_at: Timestamp.describe("When the run was removed."),
          })
          .meta({ id: "RemovedOrphan" }),
      )
      .describe("The runs that were removed last."),
    orphan_gpu_hours: z.number().describe("GPU hours used by runs without a living record."),
    orphan_gb_hours: z.number().describe("GB hours of all volumes that no record names, where their sizes are known."),
  })
  .meta({ id: "Orphans" });

const route = createRoute({
  method: "get",
  path: "/v1/admin/orphans",
  operationId: "listOrphans",
  tags: ["Admin"],
  summary:
    "Compute without a living record, removed after ten minutes, records without their compute, and volumes and snapshots that no record names",
  responses: {
    200: jsonReply(Orphans, {
      "One run too many": {
        checked_at: "2026-01-20T18:30:00Z",
        run_count: 1,
        runs: [
          {
            record: exampleRecord,
            uid: "0b9d2c6a4f1e4d7c8a35e6f7091b2c3d",
            run: 1,
            why: "its record is at run 2",
            first_seen_at: "2026-01-20T18:29:00Z",
            sightings: 2,
            gpu_type: "h100",
            gpu_count: 4,
          },
        ],
        record_count: 0,
        records: [],
        volume_count: 0,
        volumes: [],
        snapshot_count: 0,
        snapshots: [],
        removed_count: 1,
        removed: [
          {
            record: exampleRecord,
            uid: "0b9d2c6a4f1e4d7c8a35e6f7091b2c3d",
            run: 1,
            why: "it has no record",
            removed_at: "2026-01-19T18:30:00Z",
          },
        ],
        orphan_gpu_hours: 0.067,
        orphan_gb_hours: 0,
      },
    }),
  },
});

/** Returns the report of the schedule, because a request never asks the cluster. */
export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, requestId }) =>
  audited(ctx, { action: "list_orphans", target: null, requestId }, async () => toOrphans(await readOrphans(ctx))),
);

export const handler = lambda(endpoint, { table });

function toOrphans(report: OrphanReport | undefined): z.infer<typeof Orphans> {
  const { runs = [], records = [], runCount = 0, recordCount = 0, gpuHours = 0, gbHours = 0 } = report ?? {};
  const { removed = [], removedCount = 0, volumes = [], volumeCount = 0 } = report ?? {};
  const { snapshots = [], snapshotCount = 0 } = report ?? {};
  return {
    checked_at: report ? wholeSeconds(report.checkedAt) : null,
    run_count: runCount,
    runs: runs.map((run) => ({ ...toSighting(run), gpu_type: run.pool, gpu_count: run.gpus })),
    record_count: recordCount,
    records: records.map(toSighting),
    volume_count: volumeCount,
    volumes: volumes.map(({ key, firstSeenAt, ...fields }) => ({
      record: key,
      ...fields,
      first_seen_at: wholeSeconds(firstSeenAt),
    })),
    snapshot_count: snapshotCount,
    snapshots: snapshots.map(({ key, firstSeenAt, ...fields }) => ({
      record: key,
      ...fields,
      first_seen_at: wholeSeconds(firstSeenAt),
    })),
    removed_count: removedCount,
    removed: removed.map(({ key, at, ...fields }) => ({ record: key, ...fields, removed_at: wholeSeconds(at) })),
    orphan_gpu_hours: Math.round(gpuHours * 1000) / 1000,
    orphan_gb_hours: Math.round(gbHours * 1000) / 1000,
  };
}

function toSighting({ uid, run, key, why, firstSeenAt, sightings }: OrphanReport["records"][number]) {
  return { record: key, uid, run, why, first_seen_at: wholeSeconds(firstSeenAt), sightings };
}
