import * as z from "zod";
import { Timestamp } from "#http/answers/timestamp.ts";
import { OnInterruption } from "./internal/job-fields.ts";
import { JobId } from "./internal/job-id.ts";
import { jobStatuses } from "./internal/status.ts";

export const JobStatus = z.enum(jobStatuses).meta({ id: "JobStatus" });

export const EstimatedTimes = z.object({
  estimated_start_time: Timestamp.nullable().describe(
    "Estimated start: half of such jobs start no later. Null if there is no estimate.",
  ),
  estimated_start_latest: Timestamp.nullable().describe(
    "Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.",
  ),
});

export const JobSummary = z
  .object({
    job_id: JobId,
    reservation_id: z.string().describe("Same as `job_id`, for existing clients."),
    user_id: z.string().describe("The owner's user name."),
    status: JobStatus.describe("The job's current state."),
    gpu_type: z
      .string()
      .describe("The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type."),
    gpu_count: z
      .int()
      .describe(
        "Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine.",
      ),
    instance_type: z.string().describe("The machine, by its AWS name."),
    duration_hours: z.number().describe("Duration in hours. A shown job's duration includes its extensions."),
    created_at: Timestamp.describe("When it was created."),
    expires_at: Timestamp.nullable().describe("When the job's time is over; null while it is queued or preparing."),
    name: z.string().describe("The job's name, for people."),
    pod_name: z.string().describe("The pod's name, for people."),
    node_ip: z.string().nullable().describe("The address of SSH; null unless the job is active."),
    node_port: z.int().nullable().describe("The port of SSH; null unless the job is active."),
    ssh_command: z
      .string()
      .nullable()
      .describe("A command that connects to the job; null unless the job is active and some key would get in."),
    jupyter_enabled: z
      .boolean()
      .describe("Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests."),
    jupyter_url: z
      .string()
      .nullable()
      .describe("The address of Jupyter; null until it answers, and where `warning` says that no address leads to it."),
    jupyter_token: z.string().nullable().describe("The token that opens Jupyter; null until it answers."),
    github_user: z.string().nullable().describe("The GitHub user whose SSH keys open the job once it is active."),
    status_reason: z.string().nullable().describe("Why the job waits or how it ended, in words."),
    queue_position: z.int().nullable().describe("Place in the queue, 1 is first; null unless the job is queued."),
    ...EstimatedTimes.shape,
    disk_name: z
      .string()
      .nullable()
      .describe("The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name."),
    isolation: z.string().nullable().describe("How the job is isolated from the machine, on a local stack."),
    limits: z.string().nullable().describe("How the job's memory and processors are limited, on a local stack."),
    secondary_users: z
      .array(z.string())
      .describe("The GitHub users that were added to the job and whose SSH keys get in."),
    ssh_host_key: z
      .string()
      .nullable()
      .describe(
        "The public key by which the job's SSH server is known, for `known_hosts`; null unless the job is active.",
      ),
    launched_at: Timestamp.nullable().describe("When the job first became active; null until then."),
    jupyter_port: z.int().nullable().describe("The port of `jupyter_url`; null until Jupyter answers."),
    jupyter_error: z
      .string()
      .nullable()
      .describe("Why there is no Jupyter on an active job that was to have one; null otherwise."),
    current_detailed_status: z.string().nullable().describe("Same as `status_reason`, for existing clients."),
    warning: z
      .string()
      .nullable()
      .describe(
        "Problems of an active job: that it expires soon, or why requests failed or are retried, the newest first. Null if there is none.",
      ),
    image: z
      .string()
      .nullable()
      .describe("The image that the submit named. Null for a job from before this was noted."),
    env_names: z
      .array(z.string())
      .describe("Names of the job's `env_vars`, the first 4,096 characters of them. No value is ever shown."),
    exit_code: z
      .int()
      .nullable()
      .describe(
        "The exit code of the command that ended the job. Null until then, and if the job ended in another way.",
      ),
    ended_at: Timestamp.nullable().describe("When the job ended. Null until its end is decided."),
    gpu_hours: z.number().describe("GPUs times the hours in which the job was active, up to its end."),
    on_interruption: OnInterruption,
    requeue_count: z.int().describe("How often the job returned to the queue after an interruption."),
    grace_seconds: z
      .int()
      .nullable()
      .describe("Seconds from SIGTERM to SIGKILL of its command, as the submit chose; null for the deployment's."),
    min_duration_hours: z
      .number()
      .nullable()
      .describe("The least hours that it accepts on machines that close soon, as the submit chose; null: all of them."),
    /** Omitted without an estimate: the predecessor's client would print a null as "None min". */
    estimated_wait_minutes: z
      .int()
      .optional()
      .describe("Whole minutes until `estimated_start_time`; omitted if there is no estimate."),
  })
  .meta({ id: "JobSummary" });

/** Fields that change by themselves, which the ETag leaves out. */
export const ownPace = ["estimated_wait_minutes", "gpu_hours"] as const;

/** Example of a job as its owner sees it. Operators see fewer fields. */
export const exampleJob = {
  job_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  reservation_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
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
  on_interruption: "fail",
  requeue_count: 0,
  grace_seconds: null,
  min_duration_hours: null,
};

/** The same job as the published document prints it. */
export function printedJob() {
  return {
    ...exampleJob,
    job_id: "abc-123-def-456",
    reservation_id: "abc-123-def-456",
    user_id: "jschmidt@meta.com",
    pod_name: "gpu-dev-abc123",
    ssh_command: "ssh gpu-dev-abc123",
    jupyter_url: "https://...",
  };
}
