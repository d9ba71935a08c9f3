import { expect } from "vitest";

// Printed answers of the document: keys, texts, and patterns for the values that differ each time.

export const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

export const issued = {
  api_key: expect.stringMatching(/^[\w-]{86}$/),
  key_prefix: expect.stringMatching(/^[\w-]{8}$/),
  user_id: expect.any(Number),
  username: "developer",
  expires_at: timestamp,
};

export const serviceInfo = {
  service: "GPU Dev API",
  version: "1.0.0",
  docs: "/docs",
  health: "/health",
  auth: { aws_login: "/v1/auth/aws-login", description: "Use AWS credentials to obtain an API key" },
  endpoints: {
    jobs: "/v1/jobs",
    disks: "/v1/disks",
    gpu_availability: "/v1/gpu/availability",
    cluster_status: "/v1/cluster/status",
  },
};

export const input = { gpu_type: "h100", gpu_count: 8, instance_type: "p5.48xlarge", duration_hours: 4 };

export const documentedJobKeys = [
  ...["job_id", "reservation_id", "user_id", "status", "gpu_type", "gpu_count", "instance_type", "duration_hours"],
  ...["created_at", "expires_at", "name", "pod_name", "node_ip", "node_port", "ssh_command"],
  ...["jupyter_enabled", "jupyter_url", "jupyter_token", "github_user"],
];

/** Keys that Berth adds (docs/apis/gpu-dev.md#read-jobs). */
export const furtherJobKeys = [
  "status_reason",
  "queue_position",
  "estimated_start_time",
  "estimated_start_latest",
  "disk_name",
  "isolation",
  "limits",
  "secondary_users",
  "ssh_host_key",
  "launched_at",
  "jupyter_port",
  "jupyter_error",
  "current_detailed_status",
  "warning",
  "image",
  "env_names",
  "exit_code",
  "ended_at",
  "gpu_hours",
  "on_interruption",
  "requeue_count",
  "grace_seconds",
  "min_duration_hours",
];

export const actionMessages = {
  extend: "Extension request submitted for 2 hours",
  enable_jupyter: "Jupyter enable request submitted",
  disable_jupyter: "Jupyter disable request submitted",
  add_user: "Add user request submitted for GitHub user 'jeanschmidt'",
  cancel: "Cancellation request submitted",
};

/** Machines of the local stack by GPU type. */
export const pools = Object.fromEntries(
  Object.entries({ a100: [8, 8], a10g: [4, 4], "cpu-x86": [0, 0], h100: [16, 8], "t4-small": [1, 1] }).map(
    ([gpu_type, [total, max_per_node]]) => [
      gpu_type,
      { gpu_type, total, available: expect.any(Number), in_use: expect.any(Number), queued: 0, max_per_node },
    ],
  ),
);

export const creationMessage = "Disk creation request queued successfully";
export const deletionMessage = "Disk deletion request queued successfully. Will be deleted on";
const operationId = expect.stringMatching(/^op-[0-9a-f-]{36}$/);
export const diskRequest = { operation_id: operationId, disk_name: "my-training-data", requested_at: timestamp };

export const closed = {
  operation_id: operationId,
  disk_name: "my-training-data",
  status: "completed",
  error: null,
  created_at: timestamp,
  last_updated: timestamp,
  completed: true,
};

export const newDisk = {
  disk_name: "my-training-data",
  user_id: "developer",
  size_gb: 500,
  created_at: timestamp,
  last_used: null,
  in_use: false,
  reservation_id: null,
  is_backing_up: false,
  is_deleted: false,
  snapshot_count: 0,
};
