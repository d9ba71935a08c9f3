import * as z from "zod";
import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";
import { ActionRequested, Estimated, Job, JobSummary, Logs } from "../wire.ts";

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
};

/** Returns the examples of an answer to a requested action. An operator who cancels gets the same answer. */
export function requested(action: string, words: string) {
  const answer = { job_id: id, action, status: "requested", message: `${words} (message ID: 42)` };
  return { examples: { Requested: answer, [AS_PRINTED]: { ...answer, job_id: printed.job_id } } };
}

const ambiguous = { 409: "Several of your jobs begin like this" };
const conflict = { 409: "The status of the job does not allow it, or several of your jobs begin like this" };

export const document: NounDocument = {
  tag: "Jobs",
  schemas: {
    Job,
    JobSummary,
    JobStatus: JobSummary.shape.status,
    JobAction: Job.shape.actions.element,
    JobTimelineEntry: Job.shape.timeline.element,
    JobActionRequested: ActionRequested,
    JobLogs: Logs,
    JobAlternative: Estimated.shape.alternatives.element,
  },
  fields: {
    image: "The container image. The local stack records it and runs commands with the machine's own tools.",
    instance_type: "The machine, by its AWS name.",
    duration_hours: "Duration in hours. A shown job's duration includes its extensions.",
    disk_name: "The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name.",
    disk_size_gb: "Size in GB of a disk that this submit creates; ignored for an existing disk.",
    env_vars:
      "Variables of the job's processes: at most 100, 32 KiB in all. Numbers and booleans become texts. `PATH`, `LD_*`, " +
      "`KUBERNETES_*`, `AWS_*` and `__proto__` are refused.",
    command:
      "Run by a shell inside the job, at most 16 KiB. When it ends the job ends; without one it lives until its time is over.",
    gpu_type: "The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type.",
    gpu_count: "Number of GPUs. Without it a submit asks for all GPUs of the machine; 16 means two machines of 8.",
    name: "The job's name, for people.",
    "SubmitJob.name": "The job's name, for people: 1 to 128 printable characters. Defaults to the pod's name.",
    github_user: "The GitHub user whose SSH keys open the job once it is active.",
    ssh_public_keys:
      "At most 10 public SSH keys that open the job once it is active, each in one line of at most 4,096 characters, " +
      "without options.",
    webhook_url:
      "The URL that receives each change of the job's phase, in the order of `sequence`. No answer ever shows it.",
    job_id:
      "The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them.",
    status: "The job's current state.",
    "query.status": "Only jobs in one of these states: one, or several separated by commas.",
    "SubmittedJob.status": "The job is in the queue.",
    "JobTimelineEntry.status": "The job's state from then on.",
    "JobAction.status": "`requested` at first, then `done` or `failed`.",
    "JobActionRequested.status": "The request is recorded; `actions` of the job shows its outcome.",
    "SubmittedJob.message": "A confirmation with the number of the request.",
    estimated_start_time: "Estimated start: half of such jobs start no later. Null where there is no estimate.",
    estimated_start_latest:
      "Late estimate of the start: nine of ten such jobs start no later. Null where there is no estimate.",
    queue_position: "Place in the queue, 1 is first; null unless the job is queued.",
    "JobEstimate.reason": "`Would start now`, or why the job would wait.",
    "JobTimelineEntry.reason": "Why the state changed, in words; null where there is nothing to add.",
    alternatives: "Smaller GPU counts that would start earlier, soonest first.",
    jobs: "The jobs, newest first.",
    limit: "Maximum number of jobs to return, 1 to 500.",
    "JobList.total": "Number of jobs that match the filter.",
    reservation_id: "Same as `job_id`, for existing clients.",
    user_id: "The owner's user name.",
    expires_at: "When the job's time is over; null until it is active.",
    pod_name: "The pod's name, for people.",
    node_ip: "The address of SSH; null unless the job is active.",
    node_port: "The port of SSH; null unless the job is active.",
    ssh_command: "A command that connects to the job; null unless the job is active and some key would get in.",
    jupyter_enabled:
      "Whether Jupyter answers; in a submit, whether it is wanted. What was asked for later is in `actions`.",
    jupyter_url: "The address of Jupyter; null until it answers.",
    jupyter_token: "The token that opens Jupyter; null until it answers.",
    status_reason: "Why the job waits or how it ended, in words.",
    ssh_host_key:
      "The public key by which the job's SSH server is known, for `known_hosts`; null unless the job is active.",
    secondary_users: "The GitHub users that were added to the job and whose SSH keys get in.",
    launched_at: "When the job became active; null until then.",
    jupyter_port: "The port of `jupyter_url`; null until Jupyter answers.",
    jupyter_error: "Why there is no Jupyter on an active job that was to have one; null otherwise.",
    current_detailed_status: "Same as `status_reason`, for existing clients.",
    warning:
      "What is wrong with an active job or about to happen to it: that it expires soon, or why requests failed or are tried again, the newest first. Null where there is nothing to say.",
    "SubmittedJob.warning": "What becomes of files, for a job without a disk; left out for a job with one.",
    estimated_wait_minutes: "Whole minutes until `estimated_start_time`; left out where there is no estimate.",
    isolation: "How the job is isolated from the machine, on a local stack.",
    limits: "How the job's memory and processors are limited, on a local stack.",
    "JobSummary.image": "The image that the submit named. Null for a job from before this was noted.",
    "Job.image": "The image that the submit named. Null for a job from before this was noted.",
    env_names: "Names of the job's `env_vars`, the first 4,096 characters of them. No value is ever shown.",
    exit_code:
      "The exit code of the command that ended the job. Null until then, and where the job ended in another way.",
    ended_at: "When the job ended. Null until its end is decided.",
    gpu_hours: "GPUs times the hours since the job became active, up to its end.",
    "JobEstimate.gpu_hours": "GPUs times the hours that the job asks for: what it uses if it runs to its end.",
    "Job.command":
      "The first 200 characters of the command. Only the owner sees them, in this answer alone. Null without a command, " +
      "and once the job has ended.",
    ended_after: "Only jobs that ended later than this time.",
    "query.name": "Only jobs of exactly this name.",
    actions: "The 20 newest requests on the job, oldest first.",
    timeline: "The 40 newest changes of state, oldest first.",
    at: "When the state changed.",
    id: 'The number of the request on this job, the "message ID" of its answer.',
    action: "What was requested.",
    error: "Why the request failed, or why it is being tried again; null otherwise.",
    requested_at: "When it was requested.",
    completed_at: "When the request was done or failed; null until then.",
    logs: "Standard output and error of the command, as one text.",
    truncated: "Whether older output is missing: before these lines, or between `after` and this output.",
    next: "The position behind this output. Send it as `after` to go on from there.",
    ignored: "Names that the request sent in vain: no field or parameter has them. Left out where there are none.",
    ended: "Whether nothing follows any more: the job has ended, and this was the end of its log.",
    after:
      "Position from which on to read, the `next` of an earlier answer, 0 for the beginning. `tail` then does not count.",
    wait: "With `after`: seconds to wait for output if there is none yet, at most 20.",
    download: "1 for the whole log that is kept, as a text file.",
    tail: "Number of lines to return, counted from the end.",
    extension_hours: "Number of hours to add.",
    github_username: "The GitHub user whose SSH keys may log in. Send it or `public_key`, not both.",
    public_key: "A public SSH key that may log in: one line of at most 4,096 characters, without options.",
    "JobActionRequested.message": "A confirmation with the number of the request.",
  },
  operations: {
    submit: {
      id: "submitJob",
      description: "The answer comes at once: the job is queued, and `GET /v1/jobs/{job_id}` shows it from then on.",
      body: "SubmitJob",
      reply: "SubmittedJob",
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
      replies: {
        200: { examples: { Queued: submitted, [AS_PRINTED]: { ...submitted, job_id: printed.job_id } } },
      },
      problems: {
        409:
          "The disk is in use, there are 500 disks already, there is a job of the `RESERVATION_ID`, or the Idempotency-Key " +
          "was used with another request",
        410: "The disk is marked for deletion",
      },
      refusals: {
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
      },
    },
    estimate: {
      id: "estimateJob",
      description: "Takes what a submit takes and writes nothing.",
      body: "SubmitJob",
      reply: "JobEstimate",
      requests: {
        "One GPU for one hour": oneGpuHour,
        "Eight GPUs for four hours": {
          image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
          instance_type: "p5.48xlarge",
          duration_hours: 4,
        },
      },
      replies: {
        200: {
          examples: {
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
        },
      },
      problems: {
        409: "The disk is in use, or there are 500 disks already",
        410: "The disk is marked for deletion",
      },
    },
    get: {
      id: "getJob",
      reply: "Job",
      problems: ambiguous,
      replies: {
        200: {
          examples: {
            "An active job": { ...summary, ...past },
            [AS_PRINTED]: { ...printed, ...past },
          },
        },
      },
    },
    list: {
      id: "listJobs",
      parameters: { status: "active,preparing" },
      reply: "JobList",
      replies: {
        200: {
          examples: {
            "One job": { jobs: [summary], ...page },
            [AS_PRINTED]: { jobs: [{ ...printed, job_id: "abc-123", reservation_id: "abc-123" }], ...page },
          },
        },
      },
    },
    logs: {
      id: "getJobLogs",
      description:
        "The newest MiB at most, kept for 7 days after the end. A client that accepts `text/plain` and not JSON gets the text " +
        "alone. One that accepts `text/event-stream` gets events as they are printed, where the deployment streams: `log` " +
        "with a cursor as id, `ended`, `closed`.",
      replies: {
        200: {
          content: { "application/json": Logs, "text/plain": z.string(), "text/event-stream": z.string() },
          examples: {
            "Two lines": { job_id: id, logs: "epoch 1\nepoch 2\n", truncated: false, next: "16", ended: false },
          },
        },
      },
      problems: ambiguous,
    },
    extend: {
      id: "extendJob",
      description:
        "The new end counts from the answer on. `duration_hours` and `expires_at` show it once the action is `done`.",
      body: "ExtendJob",
      requests: { "Two hours more": { extension_hours: 2 } },
      replies: { 200: requested("extend", "Extension request submitted for 2 hours") },
      problems: conflict,
    },
    "jupyter-enable": {
      id: "enableJupyter",
      description: "`jupyter_url` of the job says where, once it answers.",
      replies: { 200: requested("enable_jupyter", "Jupyter enable request submitted") },
      problems: conflict,
    },
    "jupyter-disable": {
      id: "disableJupyter",
      replies: { 200: requested("disable_jupyter", "Jupyter disable request submitted") },
      problems: conflict,
    },
    users: {
      id: "addJobUser",
      description: "The keys of a GitHub user are fetched again each time that this is asked for.",
      body: "AddJobUser",
      requests: {
        "A GitHub user": { github_username: "jeanschmidt" },
        "A public key": {
          public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKyIfIKesG74ewOtTC3tBQqxMFN0b59wd+tI//HxmJ0E me@laptop",
        },
      },
      replies: { 200: requested("add_user", "Add user request submitted for GitHub user 'jeanschmidt'") },
      problems: conflict,
    },
    cancel: {
      id: "cancelJob",
      description: "Shown as cancelled from the answer on. Its disk is kept.",
      replies: { 200: requested("cancel", "Cancellation request submitted") },
      problems: conflict,
    },
  },
};
