import { wordsAfterDashes } from "../../definitions/words-after-dashes.ts";
import { CliError, exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { connect } from "../../login/connect.ts";
import { diskWord, openDisk, readDiskPath } from "../../ssh/disk-target.ts";
import { refuseUnsafeRsync } from "../../ssh/rsync-version.ts";
import { findRemotePaths, isPull, remoteHost, remoteShell } from "../../ssh/rsync-words.ts";
import { runOnJob, sshTarget } from "../../ssh/ssh-session.ts";
import { interruptSignal, outJson } from "../../terminal/terminal.ts";

/**
 * Runs rsync between this machine and a job, and ends with its exit code. `JOB:path` is a path in a job,
 * `disk:NAME/path` one on a disk.
 */
export async function rsync({ json }: { readonly json: boolean }): Promise<void> {
  const words = wordsAfterDashes();
  const paths = findRemotePaths(words);
  const disks = paths.flatMap(({ job, path }) => (job === diskWord ? [readDiskPath(path)] : []));
  const names = new Set([
    ...paths.map(({ job }) => job).filter((job) => job !== "" && job !== diskWord),
    ...disks.map(({ disk }) => `${diskWord}:${disk}`),
  ]);
  if (paths.length === 0 || names.size > 1) {
    const hint = "For example: berth rsync -a data/ NAME:data/";
    throw new CliError(
      "Paths in one job or on one disk are needed, written as JOB:path or disk:NAME/path",
      exitCodes.usage,
      hint,
    );
  }
  if (isPull(words)) refuseUnsafeRsync();
  const [name] = names;
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const [onDisk] = disks;
  const opened = onDisk && (await openDisk(berth, onDisk.disk, signal));
  const jobId = opened?.jobId ?? (await findJob(berth, name)).job_id;
  const target = opened?.target ?? (await sshTarget(berth, jobId, signal));
  const rsyncArguments = [...words];
  for (const { at, job, path } of paths) {
    const there = opened && job === diskWord ? opened.locate(readDiskPath(path).path) : path;
    rsyncArguments[at] = `${remoteHost(target)}:${there}`;
  }
  const options = ["-e", remoteShell(target), ...(json ? ["--stats"] : [])];
  let printed = "";
  const onOutput = (text: string) => {
    printed = (printed + text).slice(-mostStatistics);
    process.stderr.write(text);
  };
  const done = runOnJob(target, "rsync", [...options, ...rsyncArguments], json ? { onOutput } : {});
  const code = await done.finally(() => opened?.close());
  if (json && code === 0) outJson({ job_id: jobId, ...readStatistics(printed) });
  throw new QuietExit(code);
}

/** rsync prints its statistics at the end, in fewer characters than this. */
const mostStatistics = 4000;

/** Reads what `rsync --stats` prints. Returns null for a number that `-h` made short. */
function readStatistics(text: string): { readonly files: number | null; readonly bytes: number | null } {
  const read = (pattern: RegExp) => {
    const digits = pattern.exec(text)?.[1]?.replaceAll(",", "");
    return digits === undefined ? null : Number(digits);
  };
  return {
    files: read(/^Number of (?:regular )?files transferred: ([\d,]+)$/m),
    bytes: read(/^Total transferred file size: ([\d,]+) /m),
  };
}
