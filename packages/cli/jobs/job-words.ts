import type { Job, JobSummary } from "../../sdk/jobs.ts";
import { printable, timeSpan, told } from "../terminal/text.ts";
import { shortId } from "./find-job.ts";

type TimesOfJob = Pick<JobSummary, "status" | "expires_at" | "estimated_start_time">;
type MachineOfJob = Pick<JobSummary, "gpu_count" | "gpu_type" | "instance_type">;

/** Returns the remaining time of a job, its start, or an empty text. */
export function timeLeft({ status, expires_at, estimated_start_time }: TimesOfJob): string {
  if (status === "active" && expires_at !== null) return `${timeSpan(Date.parse(expires_at) - Date.now())} left`;
  if (status === "queued" && estimated_start_time !== null) {
    return `starts in ${timeSpan(Date.parse(estimated_start_time) - Date.now())}`;
  }
  return "";
}

/** Returns the machine part that a job has or wants. */
export function describeMachine({ gpu_count, gpu_type, instance_type }: MachineOfJob): string {
  return gpu_count === 0 ? told`${instance_type}` : told`${gpu_count} × ${gpu_type} (${instance_type})`;
}

/** Returns the same for a column of a table. */
export function shortMachine({ gpu_count, gpu_type, instance_type }: JobSummary): string {
  return gpu_count === 0 ? instance_type : told`${gpu_count} × ${gpu_type}`;
}

/** Returns the state of a job in one line. */
export function statusLine(job: Job): string {
  const place = job.queue_position === null ? "" : told` #${job.queue_position}`;
  const parts = [told`${job.status}${place}`, timeLeft(job), job.status_reason ?? "", job.warning ?? ""];
  return printable(parts.filter((part) => part !== "").join(" · "));
}

/** Returns how people call a job: its name and the beginning of its id. */
export function calledJob(job: JobSummary): string {
  return `${printable(job.name)} (${shortId(job)})`;
}

export type NamedJob = Pick<JobSummary, "job_id" | "name">;

/** Returns the argument that selects this job in commands. */
export function jobWord(job: NamedJob): string {
  return /^[A-Za-z0-9][\w.-]*$/.test(job.name) ? job.name : shortId(job);
}
