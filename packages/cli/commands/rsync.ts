import { connect } from "../connect.ts";
import { CliError, exitCodes, QuietExit } from "../failure.ts";
import { findJob } from "../find-job.ts";
import { findRemotePaths, remoteHost, remoteShell } from "../rsync-words.ts";
import { runOnJob, sshTarget } from "../ssh-session.ts";
import { interruptSignal } from "../terminal.ts";
import { wordsAfterDashes } from "../words-after-dashes.ts";

/** Runs rsync between this machine and a job, and ends with its exit code. `JOB:path` is a path in a job. */
export async function rsync(): Promise<void> {
  const words = wordsAfterDashes();
  const paths = findRemotePaths(words);
  const names = new Set(paths.map(({ job }) => job).filter((job) => job !== ""));
  if (paths.length === 0 || names.size > 1) {
    const hint = "For example: berth rsync -a data/ NAME:data/";
    throw new CliError("Paths in one job are needed, written as JOB:path", exitCodes.usage, hint);
  }
  const [name] = names;
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const { job_id } = await findJob(berth, name);
  const target = await sshTarget(berth, job_id, signal);
  const own = [...words];
  for (const { at, path } of paths) own[at] = `${remoteHost(target)}:${path}`;
  throw new QuietExit(await runOnJob(target, "rsync", ["-e", remoteShell(target), ...own]));
}
