import type { Job } from "../../sdk/jobs.ts";
import { connect } from "../connect.ts";
import { findJob } from "../find-job.ts";
import { calledJob, jobWord, machineOf, statusLine } from "../job-words.ts";
import { table } from "../layout.ts";
import { out, outJson, outputColumns } from "../terminal.ts";
import { printable, timeSpan } from "../text.ts";

/** Prints all that is known of a job. */
export async function show({ json }: { readonly json: boolean }, word?: string): Promise<void> {
  const berth = await connect();
  const { job_id } = await findJob(berth, word);
  const job = await berth.jobs.get(job_id);
  if (json) return outJson(job);
  out(table([...rowsOf(job), ...whatItRuns(job)]));
  if (job.actions.length > 0) out(`\nActions\n${table(job.actions.map(actionRow), outputColumns())}`);
  if (job.timeline.length > 0) out(`\nTimeline\n${table(timelineRows(job), outputColumns())}`);
}

/** Returns a job in some lines, with what to type next. */
export function describeJob(job: Job): string {
  return table(rowsOf(job));
}

function rowsOf(job: Job): (readonly string[])[] {
  const word = jobWord(job);
  const rows: (readonly string[])[] = [
    ["Job", calledJob(job)],
    ["State", statusLine(job)],
    ["Machine", `${machineOf(job)} for ${job.duration_hours} h`],
    ["Disk", job.disk_name ?? "none: files are lost when the job ends"],
  ];
  if (job.expires_at !== null) rows.push(["Ends", job.expires_at]);
  if (job.status === "active") rows.push(["SSH", `berth ssh ${word}`]);
  if (job.jupyter_url !== null) rows.push(["Jupyter", job.jupyter_url]);
  if (job.secondary_users.length > 0) rows.push(["Shared with", job.secondary_users.join(", ")]);
  return rows;
}

function whatItRuns({ image, command, env_names, exit_code, ended_at, gpu_hours }: Job): string[][] {
  const rows = [
    ["Image", image],
    ["Command", command],
    ["Variables", env_names.length > 0 ? env_names.join(", ") : null],
    ["Exit code", exit_code],
    ["Ended", ended_at],
    ["GPU-hours", gpu_hours],
  ] as const;
  return rows.flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]]));
}

function actionRow({ action, status, error, requested_at }: Job["actions"][number]): string[] {
  return [` ${requested_at}`, action, status, error ?? ""];
}

/** Each row says how long the state before the next one lasted. */
function timelineRows({ timeline }: Job): string[][] {
  return timeline.map(({ at, status, reason }, index) => {
    const next = timeline[index + 1];
    const lasted = next ? timeSpan(Date.parse(next.at) - Date.parse(at)) : "";
    return [` ${at}`, status, lasted, printable(reason ?? "")];
  });
}
