import * as z from "zod";
import type { Operation } from "#core/disks/operations.ts";
import { type OperationKind, seenBackups } from "#core/disks/record.ts";
import type { DiskView } from "#core/disks/view.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { AS_PRINTED } from "#http/route.ts";

export const diskNamePattern = /^[a-zA-Z0-9_-]{1,64}$/;
const nameRule = "Disk name must contain only letters, numbers, hyphens, and underscores";

export const DiskName = z.string().regex(diskNamePattern, nameRule).meta({ example: "my-training-data" });
export const DiskSizeGb = z.int().min(10).max(10_000);
export const DEFAULT_SIZE_GB = 100;

export const DiskRef = z.object({
  disk_name: z
    .string()
    .meta({ example: "my-training-data" })
    .describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
});

export const Disk = z
  .object({
    disk_name: z.string().describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    user_id: z.string().describe("The owner's user name."),
    size_gb: z.int().describe("The disk's size in GB."),
    created_at: Timestamp.describe("When it was created."),
    last_used: Timestamp.nullable().describe("When a job last used the disk; null before the first job."),
    in_use: z.boolean().describe("Whether a job uses the disk."),
    reservation_id: z.string().nullable().describe("The job that uses the disk; null while none does."),
    is_backing_up: z.boolean().describe("Whether the disk is being backed up after its last job."),
    is_deleted: z.boolean().describe("Whether the disk is marked for deletion."),
    snapshot_count: z.int().describe("Number of completed snapshots."),
    delete_date: z
      .string()
      .meta({ format: "date", example: "2026-02-19" })
      .optional()
      .describe("The day on which the deleted disk is removed for good; absent unless it is marked for deletion."),
  })
  .meta({ id: "Disk" });

export const DiskRequested = z
  .object({
    operation_id: z
      .string()
      .describe("The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`."),
    disk_name: z.string().describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    action: z.enum(["create", "delete", "undelete", "snapshot"]).describe("The requested action."),
    message: z.string().describe("What happened, in words."),
    requested_at: Timestamp.describe("When it was requested."),
  })
  .meta({ id: "DiskRequested" });

/** Returns the disk name of a path. Answers a malformed one like an unknown disk. */
export function parseDiskName({ disk_name }: z.infer<typeof DiskRef>): string {
  if (diskNamePattern.test(disk_name)) return disk_name;
  throw new Problem("notFound", `Disk '${cut(disk_name)}' not found`);
}

export function cut(text: string): string {
  return text.slice(0, 100);
}

/** Counts only completed snapshots that were seen, because users rely on the number. */
export function toDisk({ disk, name, inUse, holder, backingUp }: DiskView, username: string): z.infer<typeof Disk> {
  return {
    disk_name: name,
    user_id: username,
    size_gb: disk.sizeGb,
    created_at: wholeSeconds(disk.createdAt),
    last_used: disk.lastUsedAt === null ? null : wholeSeconds(disk.lastUsedAt),
    in_use: inUse,
    reservation_id: holder,
    is_backing_up: backingUp,
    is_deleted: disk.phase === "deleted",
    snapshot_count: seenBackups(disk).length,
    ...(disk.phase === "deleted" && disk.purgeAt !== null && { delete_date: formatDate(disk.purgeAt) }),
  };
}

const requested = {
  create: () => "Disk creation request queued successfully",
  delete: (on: string | null) => `Disk deletion request queued successfully. Will be deleted on ${on}`,
  undelete: () => "Disk undelete request queued successfully",
  snapshot: () => "Disk snapshot request queued successfully",
} as const satisfies Record<OperationKind, (on: string | null) => string>;

export function toDiskRequested(operation: Operation): z.infer<typeof DiskRequested> {
  const { id, name, action, createdAt } = operation;
  return {
    operation_id: id,
    disk_name: name,
    action,
    message: requested[action](deleteDate(operation)),
    requested_at: wholeSeconds(createdAt),
  };
}

export function deleteDate({ deletesAt }: Operation): string | null {
  return deletesAt === null ? null : formatDate(deletesAt);
}

function formatDate(at: number): string {
  return wholeSeconds(at).slice(0, 10);
}

export const exampleDisk = {
  disk_name: "my-training-data",
  user_id: "jschmidt",
  size_gb: 500,
  created_at: "2026-01-15T10:00:00Z",
  last_used: "2026-01-20T18:00:00Z",
  in_use: true,
  reservation_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  is_backing_up: false,
  is_deleted: false,
  snapshot_count: 3,
};

export const exampleOperation = "op-5f0c7d1e-2b3a-4c5d-8e6f-0123456789ab";

export function exampleRequest(action: string, message: string, printedId?: string) {
  const requested_at = "2026-01-20T18:30:00Z";
  const answer = { operation_id: exampleOperation, disk_name: exampleDisk.disk_name, action, message, requested_at };
  const printed = printedId === undefined ? {} : { [AS_PRINTED]: { ...answer, operation_id: printedId } };
  return { Requested: answer, ...printed };
}
