import type { Berth } from "../../../sdk/berth.ts";
import type { JobStatus, JobSummary } from "../../../sdk/jobs.ts";
import { CliError, exitCodes } from "../../failure.ts";
import { liveStatuses, shortId } from "../../jobs/find-job.ts";
import { shortMachine, timeLeft } from "../../jobs/job-words.ts";
import { hasState } from "../../state/state.ts";
import { collect } from "../../terminal/collect.ts";
import { table, withoutEmptyColumns } from "../../terminal/layout.ts";
import { outputColumns } from "../../terminal/terminal.ts";
import { printable, told } from "../../terminal/text.ts";
import { showView, type ViewFlags } from "../../terminal/view.ts";

interface ListFlags extends ViewFlags {
  readonly all: boolean;
  readonly status?: string;
}

/** Prints jobs, newest first: the live ones and those just lost, unless a flag says more. */
export async function list({ all, status, ...flags }: ListFlags): Promise<void> {
  const isWhole = all || status === "all";
  const wanted = status === undefined ? undefined : statusesIn(status);
  await showView(flags, (berth) => ({
    read: () => {
      const read = () => (isWhole || wanted ? listJobs(berth, isWhole ? undefined : wanted) : usualJobs(berth));
      const hasActive = isWhole || !wanted || wanted.includes("active");
      return hasActive && !flags.watch ? withHosts(berth, read) : read();
    },
    describe: describeJobs,
    emptyWords: isWhole ? "You have no jobs." : "You have no live jobs. See all with: berth ls --all",
  }));
}

/** Updates the entries for ssh if `berth ssh-config on` was used. */
async function withHosts(berth: Berth, read: () => Promise<JobSummary[]>): Promise<JobSummary[]> {
  if (!hasState("ssh_config")) return read();
  const { readAndRefresh } = await import("../../ssh/ssh-hosts.ts");
  return readAndRefresh(berth, read);
}

function listJobs(berth: Berth, status: readonly JobStatus[] | undefined): Promise<JobSummary[]> {
  return collect(berth.jobs.list({ status, pageSize: 500 }));
}

function describeJobs(jobs: readonly JobSummary[]): string {
  if (jobs.length === 0) return "";
  const rows = [["ID", "NAME", "STATUS", "MACHINE", "DISK", "TIME", "REASON"], ...jobs.map(row)];
  // Programs count columns, so a pipe gets all of them.
  return table(process.stdout.isTTY ? withoutEmptyColumns(rows) : rows, outputColumns(), {
    cut: ["NAME", "REASON"],
    leaveOut: ["REASON", "DISK", "MACHINE"],
  });
}

/** The live ones, and those that failed or were cancelled in the last hour. */
async function usualJobs(berth: Berth): Promise<JobSummary[]> {
  // A watch requests whole minutes, so its answers can be 304.
  const endedAfter = new Date(Math.floor(Date.now() / 60_000 - 60) * 60_000);
  const live = await listJobs(berth, liveStatuses);
  const lost = await collect(berth.jobs.list({ status: ["failed", "cancelled"], endedAfter }));
  return [...live, ...lost];
}

function row(job: JobSummary): string[] {
  const place = job.queue_position === null ? "" : told` #${job.queue_position}`;
  const reason = job.status_reason ?? job.warning ?? "";
  return [
    shortId(job),
    job.name,
    told`${job.status}${place}`,
    shortMachine(job),
    job.disk_name ?? "-",
    timeLeft(job),
    reason,
  ];
}

const allStatuses: readonly JobStatus[] = [...liveStatuses, "completed", "expired", "cancelled", "failed"];

/** Reads statuses with commas between. Returns none for all of them. */
export function statusesIn(text: string): JobStatus[] {
  if (text === "all") return [];
  return text.split(",").map((word) => {
    const status = allStatuses.find((candidate) => candidate === word.trim());
    if (status !== undefined) return status;
    throw new CliError(
      `There is no status '${printable(word)}'`,
      exitCodes.usage,
      `They are ${allStatuses.join(", ")}`,
    );
  });
}
