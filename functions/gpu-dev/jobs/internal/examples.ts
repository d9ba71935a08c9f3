import { AS_PRINTED } from "#http/route.ts";

const id = "9e41c7d3-5b00-4c1a-8000-0123456789ab";

/** The example of a job as its owner sees it. Operators see fewer fields. */
export const summary = {
  job_id: id,
  reservation_id: id,
  user_id: "jschmidt",
  status: "active",
  gpu_type: "h100",
  gpu_count: 4,
  instance_type: "p5.48xlarge",
  duration_hours: 2.0,
  created_at: "2026-01-20T18:00:00Z",
  expires_at: "2026-01-20T20:00:00Z",
  name: "training-run",
  pod_name: "gpu-dev-9e41c7d3",
  node_ip: "10.0.1.42",
  node_port: 30123,
  ssh_command: "ssh -p 30123 gpu-dev-9e41c7d3-6f0b2a91@10.0.1.42",
  jupyter_enabled: true,
  jupyter_url: "https://gpu-dev-9e41c7d3.berth.example/lab",
  jupyter_token: "token123",
  github_user: "jeanschmidt",
  status_reason: null,
  queue_position: null,
  estimated_start_time: null,
  estimated_start_latest: null,
  disk_name: "my-training-data",
  isolation: "bubblewrap, own network",
  limits: "cgroup-v2",
  secondary_users: ["octocat"],
  ssh_host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi",
  launched_at: "2026-01-20T18:01:00Z",
  jupyter_port: 443,
  jupyter_error: null,
  current_detailed_status: null,
  warning: null,
  image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
  env_names: ["WANDB_API_KEY", "EXPERIMENT"],
  exit_code: null,
  ended_at: null,
  gpu_hours: 1.933,
};

const printed = {
  ...summary,
  job_id: "abc-123-def-456",
  reservation_id: "abc-123-def-456",
  user_id: "jschmidt@meta.com",
  pod_name: "gpu-dev-abc123",
  ssh_command: "ssh gpu-dev-abc123",
  jupyter_url: "https://...",
};

const past = {
  command: "python train.py --epochs 100",
  actions: [
    {
      id: 2,
      action: "enable_jupyter",
      status: "done",
      error: null,
      requested_at: "2026-01-20T18:05:00Z",
      completed_at: "2026-01-20T18:05:20Z",
    },
  ],
  timeline: [
    { at: "2026-01-20T18:00:00Z", status: "queued", reason: null },
    { at: "2026-01-20T18:01:00Z", status: "active", reason: null },
  ],
};

const page = { total: 10, limit: 50, offset: 0 };

/** The first example of a submit, so that one click in Swagger does not take a whole machine. */
const oneGpuHour = {
  image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
  instance_type: "p5.48xlarge",
  gpu_count: 1,
  duration_hours: 1,
};

const submitted = {
  job_id: id,
  status: "queued",
  message: "Job submitted successfully to queue (message ID: 42)",
  estimated_start_time: null,
  gpu_hours: 1,
};

export function requested(action: string, words: string) {
  const answer = { job_id: id, action, status: "requested", message: `${words} (message ID: 42)` };
  return { Requested: answer, [AS_PRINTED]: { ...answer, job_id: printed.job_id } };
}

export const submitExamples = {
  requests: {
    "One GPU for one hour": oneGpuHour,
    "Eight GPUs for four hours": {
      image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
      instance_type: "p5.48xlarge",
      duration_hours: 4,
    },
    "A training run on a disk": {
      image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
      instance_type: "p5.48xlarge",
      duration_hours: 4,
      disk_name: "my-training-data",
      disk_size_gb: 100,
      env_vars: { WANDB_API_KEY: "secret", EXPERIMENT: "training-v1" },
      command: "python train.py --epochs 100",
    },
  },
  200: { Queued: submitted, [AS_PRINTED]: { ...submitted, job_id: printed.job_id } },
  400: {
    "No image": {
      detail: [
        {
          type: "missing",
          loc: ["body", "image"],
          msg: "Field required",
          input: { instance_type: "p5.48xlarge", duration_hours: 4 },
        },
      ],
    },
  },
  409: {
    "A disk in use": {
      detail: "Disk 'my-training-data' is currently in use by reservation 9e41c7d3-5b00-4c1a-8000-0123456789ab",
    },
  },
};

export const estimateExamples = {
  requests: {
    "One GPU for one hour": oneGpuHour,
    "Eight GPUs for four hours": {
      image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
      instance_type: "p5.48xlarge",
      duration_hours: 4,
    },
  },
  200: {
    "One GPU, now": {
      estimated_start_time: "2026-01-20T18:00:00Z",
      estimated_start_latest: "2026-01-20T18:00:00Z",
      queue_position: 1,
      reason: "Would start now",
      alternatives: [],
      gpu_hours: 1,
    },
    "Later, or smaller and now": {
      estimated_start_time: "2026-01-20T18:30:00Z",
      estimated_start_latest: "2026-01-20T19:10:00Z",
      queue_position: 1,
      reason: "Need 8 H100 GPUs, only 4 available - position #1",
      alternatives: [
        {
          gpu_count: 4,
          estimated_start_time: "2026-01-20T18:00:00Z",
          estimated_start_latest: "2026-01-20T18:00:00Z",
        },
      ],
      gpu_hours: 32,
    },
  },
};

export const getExamples = {
  200: {
    "An active job": { ...summary, ...past },
    [AS_PRINTED]: { ...printed, ...past },
  },
};

export const listExamples = {
  200: {
    "One job": { jobs: [summary], ...page },
    [AS_PRINTED]: { jobs: [{ ...printed, job_id: "abc-123", reservation_id: "abc-123" }], ...page },
  },
};

export const logsExamples = {
  200: {
    "Two lines": { job_id: id, logs: "epoch 1\nepoch 2\n", truncated: false, next: "16", ended: false },
  },
};

export const extendExamples = {
  requests: { "Two hours more": { extension_hours: 2 } },
  200: requested("extend", "Extension request submitted for 2 hours"),
};

export const jupyterEnableExamples = {
  200: requested("enable_jupyter", "Jupyter enable request submitted"),
};

export const jupyterDisableExamples = {
  200: requested("disable_jupyter", "Jupyter disable request submitted"),
};

export const usersExamples = {
  requests: {
    "A GitHub user": { github_username: "jeanschmidt" },
    "A public key": {
      public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E me@laptop",
    },
  },
  200: requested("add_user", "Add user request submitted for GitHub user 'jeanschmidt'"),
};

export const cancelExamples = {
  200: requested("cancel", "Cancellation request submitted"),
};
