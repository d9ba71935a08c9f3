import { AS_PRINTED } from "#http/route.ts";

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
  return { Requested: answer, ...printed };
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

export const createExamples = {
  requests: { "500 GB": { disk_name: "my-training-data", size_gb: 500 } },
  200: requested("create", "Disk creation request queued successfully", "op-123-abc"),
};

export const listExamples = {
  200: {
    "One disk": { disks: [disk], total: 1 },
    [AS_PRINTED]: { disks: [printedDisk], total: 1 },
  },
};

export const getExamples = {
  200: { "A disk in use": disk, [AS_PRINTED]: printedDisk },
};

export const contentExamples = {
  200: {
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
};

export const renameExamples = {
  requests: { "A new name": { new_name: "my-training-data-v2" }, "Another one": { new_name: "new-disk-name" } },
  200: {
    "With its snapshots": renamed("3 snapshots updated", 3),
    "Without any": renamed("no snapshots found", 0),
    "But one": { ...renamed("2/3 snapshots updated", 2), errors: ["snap-1234567890abcdef: Access denied"] },
  },
};

export const snapshotsExamples = {
  200: {
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
};

export const snapshotExamples = {
  200: {
    Requested: {
      operation_id: operation,
      disk_name: disk.disk_name,
      action: "snapshot",
      message: "Disk snapshot request queued successfully",
      requested_at: "2026-01-20T18:30:00Z",
      replaces: null,
    },
  },
};

export const restoreExamples = {
  requests: { "A snapshot": { snapshot_id: "snap-0fedcba9876543210", new_name: "my-training-data-before" } },
  200: {
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
};

export const deleteExamples = {
  200: requested("delete", "Disk deletion request queued successfully. Will be deleted on 2026-02-19", "op-456-def"),
};

export const undeleteExamples = {
  200: requested("undelete", "Disk undelete request queued successfully"),
};

export const operationExamples = {
  200: {
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
};
