import { wordsAfterDashes } from "../../definitions/words-after-dashes.ts";
import { CliError, exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { connect } from "../../login/connect.ts";
import { diskWord, openDisk, readDiskPath } from "../../ssh/disk-target.ts";
import { refuseUnsafeRsync } from "../../ssh/rsync-version.ts";
import { findRemotePaths, isPull, remoteHost, remoteShell } from "../../ssh/rsync-words.ts";
import { runOnJob, sshTarget } from "../../ssh/ssh-session.ts";
import { interruptSignal } from "../../terminal/terminal.ts";

/**
 * Runs rsync between this machine and a job, and ends with its exit code. `JOB:path` is a path in a job, `disk:NAME/path` one
 * on a disk.
 */
export async function rsync(): Promise<void> {
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
  const target = opened?.target ?? (await sshTarget(berth, (await findJob(berth, name)).job_id, signal));
  const rsyncArguments = [...words];
  for (const { at, job, path } of paths) {
    const there = opened && job === diskWord ? opened.locate(readDiskPath(path).path) : path;
    rsyncArguments[at] = `${remoteHost(target)}:${there}`;
  }
  const done = runOnJob(target, "rsync", ["-e", remoteShell(target), ...rsyncArguments]);
  throw new QuietExit(await done.finally(() => opened?.close()));
}
