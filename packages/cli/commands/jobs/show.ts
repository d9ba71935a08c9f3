import { isEnded } from "../../../sdk/job-state.ts";
import type { Job } from "../../../sdk/jobs.ts";
import { findJob } from "../../jobs/find-job.ts";
import { calledJob, describeMachine, jobWord, statusLine } from "../../jobs/job-words.ts";
import { textRows } from "../../terminal/layout.ts";
import { outputColumns } from "../../terminal/terminal.ts";
import { printable, timeSpan, told } from "../../terminal/text.ts";
import { showView, type ViewFlags } from "../../terminal/view.ts";

/** Prints all that is known of a job. */
export function show(flags: ViewFlags, word?: string): Promise<void> {
  return showView(flags, async (berth) => {
    const { job_id } = await findJob(berth, word);
    return { read: () => berth.jobs.get(job_id), describe: describeWholeJob };
  });
}

function describeWholeJob(job: Job): string {
  const actions = job.actions.map(actionRow);
  const day = commonDay(job);
  const timeline = timelineRows(job, day);
  return [
    textRows([...listRows(job), ...whatItRuns(job)], outputColumns()),
    actions.length > 0 ? `\nActions\n${textRows(actions, outputColumns())}` : "",
    timeline.length > 0 ? `\n${timelineTitle(day)}\n${textRows(timeline, outputColumns())}` : "",
  ].join("");
}

/** Returns a job in some lines, with what to type next. */
export function describeJob(job: Job): string {
  return textRows(listRows(job), outputColumns());
}

function listRows(job: Job): (readonly string[])[] {
  const word = jobWord(job);
  const rows: (readonly string[])[] = [
    ["Job", calledJob(job)],
    ["State", statusLine(job)],
    ["Machine", told`${describeMachine(job)} for ${job.duration_hours} h`],
    ["Disk", job.disk_name ?? "none: files are lost when the job ends"],
  ];
  if (job.expires_at !== null && !isEnded(job.status)) rows.push(["Ends", job.expires_at]);
  if (job.status === "active") rows.push(["SSH", `berth ssh ${word}`]);
  if (job.jupyter_url !== null) rows.push(["Jupyter", job.jupyter_url]);
  if (job.jupyter_error) rows.push(["Jupyter", told`none: ${job.jupyter_error}. ${jupyterHint(word)}`]);
  if (job.secondary_users.length > 0) rows.push(["Shared with", job.secondary_users.join(", ")]);
  return rows;
}

function jupyterHint(word: string): string {
  return `Install it in the job, then: berth jupyter on ${word}`;
}

function whatItRuns(job: Job): string[][] {
  const {
    image,
    command,
    env_names,
    exit_code,
    ended_at,
    gpu_count,
    gpu_hours,
    min_duration_hours,
    on_interruption,
    requeue_count,
    grace_seconds,
  } = job;
  const rows = [
    ["Image", image],
    ["Command", command],
    ["Variables", env_names.length > 0 ? env_names.join(", ") : null],
    ["Exit code", exit_code],
    ["Ended", ended_at],
    ["GPU-hours", gpu_count > 0 ? gpu_hours : null],
    [
      "Least time",
      min_duration_hours === null ? null : `${min_duration_hours} h, on machines that close before its end`,
    ],
    ["Grace period", grace_seconds ? `${grace_seconds} s from SIGTERM to SIGKILL` : null],
    ["If interrupted", on_interruption === "requeue" ? describeRequeue(requeue_count) : null],
  ] as const;
  return rows.flatMap(([name, value]) => (value === null ? [] : [[name, told`${value}`]]));
}

function describeRequeue(count: number): string {
  if (count === 0) return "returns to the queue";
  return `returns to the queue (${count === 1 ? "once" : `${count} times`} so far)`;
}

function actionRow({ action, status, error, requested_at }: Job["actions"][number]): string[] {
  return [told` ${requested_at}`, action, status, error ?? ""];
}

/** Returns the day of all entries, which a terminal shows once. Other programs read whole times. */
function commonDay({ timeline }: Job): string | undefined {
  const days = new Set(timeline.map(({ at }) => told`${at}`.slice(0, "2026-01-01".length)));
  return process.stdout.isTTY && days.size === 1 ? [...days][0] : undefined;
}

function timelineTitle(day: string | undefined): string {
  return day === undefined ? "Timeline" : `Timeline of ${printable(day)}, in UTC`;
}

/** Each row says how long the state before the next one lasted. */
function timelineRows({ timeline }: Job, day: string | undefined): string[][] {
  return timeline.map(({ at, status, reason }, index) => {
    const next = timeline[index + 1];
    const lasted = next ? timeSpan(Date.parse(next.at) - Date.parse(at)) : "";
    const time = day === undefined ? at : at.slice(`${day}T`.length, `${day}T00:00:00`.length);
    return [told` ${time}`, status, lasted, reason ?? ""];
  });
}
