import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";
import { Disk, Snapshot } from "../wire.ts";

const disk = {
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

const operation = "op-5f0c7d1e-2b3a-4c5d-8e6f-0123456789ab";

const printedDisk = { ...disk, user_id: "jschmidt@meta.com", reservation_id: "abc-123" };

function requested(action: string, message: string, printedId?: string) {
  const requested_at = "2026-01-20T18:30:00Z";
  const answer = { operation_id: operation, disk_name: disk.disk_name, action, message, requested_at };
  const printed = printedId === undefined ? {} : { [AS_PRINTED]: { ...answer, operation_id: printedId } };
  return { examples: { Requested: answer, ...printed } };
}

const made = {
  operation_id: operation,
  disk_name: disk.disk_name,
  status: "completed",
  error: null,
  is_deleted: false,
  delete_date: null,
  created_at: "2026-01-20T18:30:00Z",
  last_updated: "2026-01-20T18:35:00Z",
  completed: true,
  action: "create",
};

function renamed(snapshots: string, snapshots_updated: number) {
  const message = `Disk renamed from 'old-disk-name' to 'new-disk-name' (${snapshots})`;
  return { message, old_name: "old-disk-name", new_name: "new-disk-name", snapshots_updated };
}

export const document: NounDocument = {
  tag: "Disks",
  schemas: { Disk, Snapshot },
  fields: {
    disk_name: "The disk's name: at most 64 letters, digits, hyphens and underscores.",
    new_name: "The disk's new name.",
    size_gb: "The disk's size in GB.",
    user_id: "The owner's user name.",
    last_used: "When a job last used the disk; null before the first job.",
    in_use: "Whether a job uses the disk.",
    reservation_id: "The job that uses the disk; null while none does.",
    is_backing_up: "Whether the disk is being backed up after its last job.",
    is_deleted: "Whether the disk is marked for deletion.",
    "DiskOperation.is_deleted": "Whether the request was a deletion.",
    snapshot_count: "Number of completed snapshots.",
    deleted: "`true` lists the disks that are marked for deletion, and no others.",
    disks: "Your disks, newest first, without deleted ones unless those are asked for.",
    "Disk.delete_date":
      "The day on which the deleted disk is removed for good; absent unless it is marked for deletion.",
    snapshots: "The disk's snapshots, newest first.",
    snapshot_id: "The snapshot.",
    "Snapshot.status":
      "Whether the snapshot can be restored (`completed`); `missing` was complete and is not to be seen.",
    kind: "Whether the snapshot is the backup of a job's end or was made on demand. Each kind is kept apart.",
    replaces: "The snapshot on demand that is removed once this one is completed; null while none has to go.",
    "DiskOperation.snapshot_id": "The snapshot that the request made; absent unless it made one.",
    "Snapshot.snapshot_date": "The point in time that the snapshot holds.",
    "DiskRestored.snapshot_date": "The point in time that the new disk will hold.",
    restored_from: "The disk that the snapshot is of.",
    operation_id: "The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`.",
    action: "What was requested.",
    requested_at: "When it was requested.",
    status: "The request's current state.",
    error: "Why the request failed; null unless it did.",
    delete_date: "The day on which the deleted disk is removed for good; null unless it is deleted.",
    last_updated: "When the request last changed state.",
    completed: "Whether the request is finished, successfully or not.",
    content:
      "The files of the disk at its last completed snapshot that was listed, as `ls -R` prints them, at most 1 MiB; null without them.",
    s3_path: "Always null.",
    snapshot_date: "When that snapshot was taken; null where there is none.",
    "DiskContent.message": "Why there is no `content`; null where there is.",
    old_name: "The disk's former name.",
    snapshots_updated: "Number of snapshots that carry the new name.",
    errors: "Snapshots that could not be renamed, and why; absent where all were.",
  },
  operations: {
    create: {
      id: "createDisk",
      body: "CreateDisk",
      reply: "DiskRequested",
      requests: { "500 GB": { disk_name: "my-training-data", size_gb: 500 } },
      replies: { 200: requested("create", "Disk creation request queued successfully", "op-123-abc") },
      problems: {
        409: "A living disk has this name, there are 500 already, or the Idempotency-Key was used with another request",
      },
    },
    list: {
      id: "listDisks",
      reply: "DiskList",
      replies: {
        200: {
          examples: {
            "One disk": { disks: [disk], total: 1 },
            [AS_PRINTED]: { disks: [printedDisk], total: 1 },
          },
        },
      },
    },
    get: {
      id: "getDisk",
      reply: "Disk",
      replies: { 200: { examples: { "A disk in use": disk, [AS_PRINTED]: printedDisk } } },
    },
    content: {
      id: "getDiskContent",
      reply: "DiskContent",
      replies: {
        200: {
          examples: {
            "Two files": {
              disk_name: disk.disk_name,
              content: ".:\ncheckpoints\ntrain.py\n\n./checkpoints:\nepoch-1.pt\n",
              s3_path: null,
              snapshot_date: "2026-01-20T18:30:00Z",
              message: null,
            },
            "No backup yet": {
              disk_name: disk.disk_name,
              content: null,
              s3_path: null,
              snapshot_date: null,
              message: "Disk 'my-training-data' has no backup yet",
            },
          },
        },
      },
    },
    rename: {
      id: "renameDisk",
      body: "RenameDisk",
      reply: "DiskRenamed",
      requests: { "A new name": { new_name: "my-training-data-v2" }, "Another one": { new_name: "new-disk-name" } },
      replies: {
        200: {
          examples: {
            "With its snapshots": renamed("3 snapshots updated", 3),
            "Without any": renamed("no snapshots found", 0),
            "But one": { ...renamed("2/3 snapshots updated", 2), errors: ["snap-1234567890abcdef: Access denied"] },
          },
        },
      },
      problems: { 409: "The disk is in use, or the new name is taken", 410: "The disk is marked for deletion" },
    },
    snapshots: {
      id: "listDiskSnapshots",
      reply: "DiskSnapshotList",
      replies: {
        200: {
          examples: {
            "Two snapshots": {
              disk_name: disk.disk_name,
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
          },
        },
      },
    },
    snapshot: {
      id: "createDiskSnapshot",
      description:
        "The disk may be in use: EBS and CSI drivers then hold what was written up to that moment, as after a power cut. On the embedded stack the request fails while a job has the disk. A disk keeps the newest five snapshots on demand, apart from its backups.",
      reply: "DiskSnapshotRequested",
      replies: {
        200: {
          examples: {
            Requested: {
              operation_id: operation,
              disk_name: disk.disk_name,
              action: "snapshot",
              message: "Disk snapshot request queued successfully",
              requested_at: "2026-01-20T18:30:00Z",
              replaces: null,
            },
          },
        },
      },
      problems: {
        409: "A snapshot of the disk is being made already, 20 of your disks have such a request, or no job has used the disk yet",
        410: "The disk is marked for deletion",
      },
    },
    restore: {
      id: "restoreDisk",
      description: "The disk that the snapshot is of stays as it is. The new one has its volume with its first job.",
      body: "RestoreDisk",
      reply: "DiskRestored",
      requests: { "A snapshot": { snapshot_id: "snap-0fedcba9876543210", new_name: "my-training-data-before" } },
      replies: {
        200: {
          examples: {
            Requested: {
              operation_id: operation,
              disk_name: "my-training-data-before",
              action: "create",
              message:
                "Disk restore request queued successfully. It will hold what 'my-training-data' held at 2026-01-19T18:30:00Z",
              requested_at: "2026-01-20T18:30:00Z",
              restored_from: disk.disk_name,
              snapshot_id: "snap-0fedcba9876543210",
              snapshot_date: "2026-01-19T18:30:00Z",
            },
          },
        },
      },
      problems: {
        404: "There is no such disk, or no such snapshot of it",
        409: "The snapshot is not completed, a disk of the new name exists, or there are 500 already",
      },
    },
    delete: {
      id: "deleteDisk",
      description: "It is kept for 30 days, in which it can be had back.",
      reply: "DiskRequested",
      replies: {
        200: requested(
          "delete",
          "Disk deletion request queued successfully. Will be deleted on 2026-02-19",
          "op-456-def",
        ),
      },
      problems: { 409: "The disk is in use", 410: "The disk is marked for deletion already" },
    },
    undelete: {
      id: "undeleteDisk",
      reply: "DiskRequested",
      replies: { 200: requested("undelete", "Disk undelete request queued successfully") },
      problems: { 409: "The disk is not marked for deletion" },
    },
    operation: {
      id: "getDiskOperation",
      parameters: { operation_id: operation },
      reply: "DiskOperation",
      replies: {
        200: {
          examples: {
            "A disk that is made": made,
            "A deletion that is done": {
              ...made,
              is_deleted: true,
              delete_date: "2026-02-19",
              last_updated: "2026-01-20T18:31:00Z",
              action: "delete",
            },
            [AS_PRINTED]: { ...made, operation_id: "op-123-abc" },
          },
        },
      },
    },
  },
};
