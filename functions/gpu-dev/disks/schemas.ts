import * as z from "zod";
import type { Restoring } from "#core/disks/backups/from-snapshot.ts";
import type { SnapshotRequested } from "#core/disks/backups/on-demand.ts";
import type { Renamed } from "#core/disks/names/rename.ts";
import type { Operation } from "#core/disks/operations.ts";
import { type DiskSnapshot, type OperationKind, seenBackups } from "#core/disks/record.ts";
import type { DiskView } from "#core/disks/view.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";

const diskName = /^[a-zA-Z0-9_-]{1,64}$/;
const nameRule = "Disk name must contain only letters, numbers, hyphens, and underscores";

export const DiskName = z.string().regex(diskName, nameRule).meta({ example: "my-training-data" });
export const DiskSizeGb = z.int().min(10).max(10_000);
export const DEFAULT_SIZE_GB = 100;

export const DiskRef = z.object({
  disk_name: z
    .string()
    .meta({ example: "my-training-data" })
    .describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
});
export const OperationRef = DiskRef.extend({
  operation_id: z
    .string()
    .describe("The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`."),
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

export const Snapshot = z
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

export const DiskRestored = DiskRequested.extend({
  restored_from: z.string().describe("The disk that the snapshot is of."),
  snapshot_id: z.string().describe("The snapshot."),
  snapshot_date: Timestamp.describe("The point in time that the new disk will hold."),
}).meta({ id: "DiskRestored" });

export const DiskSnapshotRequested = DiskRequested.extend({
  replaces: z
    .string()
    .nullable()
    .describe("The snapshot on demand that is removed once this one is completed; null while none has to go."),
}).meta({ id: "DiskSnapshotRequested" });

export const DiskOperation = z
  .object({
    operation_id: z
      .string()
      .describe("The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`."),
    disk_name: z.string().describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    status: z.enum(["pending", "in_progress", "completed", "failed"]).describe("The request's current state."),
    error: z.string().nullable().describe("Why the request failed; null unless it did."),
    is_deleted: z.boolean().describe("Whether the request was a deletion."),
    delete_date: z
      .string()
      .meta({ format: "date", example: "2026-02-19" })
      .nullable()
      .describe("The day on which the deleted disk is removed for good; null unless it is deleted."),
    created_at: Timestamp.describe("When it was created."),
    last_updated: Timestamp.describe("When the request last changed state."),
    completed: z.boolean().describe("Whether the request is finished, successfully or not."),
    action: z.enum(["create", "delete", "undelete", "snapshot"]).describe("The requested action."),
    snapshot_id: z.string().optional().describe("The snapshot that the request made; absent unless it made one."),
  })
  .meta({ id: "DiskOperation" });

export const DiskRenamed = z
  .object({
    message: z.string().describe("What happened, in words."),
    old_name: z.string().describe("The disk's former name."),
    new_name: z.string().describe("The disk's new name."),
    snapshots_updated: z.int().describe("Number of snapshots that carry the new name."),
    errors: z
      .array(z.string())
      .optional()
      .describe("Snapshots that could not be renamed, and why; absent where all were."),
  })
  .meta({ id: "DiskRenamed" });

/** Returns the disk name of a path. Answers a malformed one like an unknown disk. */
export function parseDiskName({ disk_name }: z.infer<typeof DiskRef>): string {
  if (diskName.test(disk_name)) return disk_name;
  throw new Problem("notFound", `Disk '${cut(disk_name)}' not found`);
}

export function parseOperationRef({ disk_name, operation_id }: z.infer<typeof OperationRef>): {
  name: string;
  id: string;
} {
  if (diskName.test(disk_name) && /^op-[0-9a-f-]{36}$/.test(operation_id)) return { name: disk_name, id: operation_id };
  throw new Problem("notFound", `Operation '${cut(operation_id)}' not found for disk '${cut(disk_name)}'`);
}

function cut(text: string): string {
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

/** Names the snapshot that the new one replaces, because none is removed silently. */
export function toSnapshotRequested({ operation, replaces }: SnapshotRequested): z.infer<typeof DiskSnapshotRequested> {
  const { message, ...requested } = toDiskRequested(operation);
  if (!replaces) return { ...requested, message, replaces: null };
  const text = `${message}. Once it is completed, ${replaces.id} of ${wholeSeconds(replaces.at)} is removed`;
  return { ...requested, message: text, replaces: replaces.id };
}

/** `name` is the name in the request; the disk may have been renamed since. */
export function toDiskOperation(operation: Operation, name: string): z.infer<typeof DiskOperation> {
  const { id, status, error, action, createdAt, updatedAt, snapshot } = operation;
  return {
    operation_id: id,
    disk_name: name,
    status,
    error: status === "failed" ? error : null,
    is_deleted: action === "delete",
    delete_date: deleteDate(operation),
    created_at: wholeSeconds(createdAt),
    last_updated: wholeSeconds(updatedAt),
    completed: status === "completed" || status === "failed",
    action,
    ...(snapshot !== undefined && { snapshot_id: snapshot }),
  };
}

function deleteDate({ deletesAt }: Operation): string | null {
  return deletesAt === null ? null : formatDate(deletesAt);
}

function formatDate(at: number): string {
  return wholeSeconds(at).slice(0, 10);
}

/** Omits removed snapshots. `missing` marks one that cannot be found now. */
export function toSnapshot(snapshot: DiskSnapshot): z.infer<typeof Snapshot> {
  const { id, at, completed, missedAt, failed, unremoved, onDemand } = snapshot;
  const kind = onDemand ? "on_demand" : "backup";
  const open = failed || unremoved ? "failed" : "pending";
  const whole = missedAt === undefined ? "completed" : "missing";
  return { snapshot_id: id, status: completed ? whole : open, snapshot_date: wholeSeconds(at), kind };
}

export function toDiskRestored({ operation, source }: Restoring, from: string): z.infer<typeof DiskRestored> {
  const snapshot_date = wholeSeconds(source.at);
  const message = `Disk restore request queued successfully. It will hold what '${from}' held at ${snapshot_date}`;
  return { ...toDiskRequested(operation), message, restored_from: from, snapshot_id: source.id, snapshot_date };
}

export function toDiskRenamed(oldName: string, newName: string, renamed: Renamed): z.infer<typeof DiskRenamed> {
  return {
    message: `Disk renamed from '${oldName}' to '${newName}' (${snapshotWords(renamed)})`,
    old_name: oldName,
    new_name: newName,
    snapshots_updated: renamed.updated,
    ...(renamed.errors.length > 0 && { errors: [...renamed.errors] }),
  };
}

function snapshotWords({ snapshots, updated }: Renamed): string {
  if (snapshots === 0) return "no snapshots found";
  return `${updated === snapshots ? updated : `${updated}/${snapshots}`} snapshots updated`;
}
