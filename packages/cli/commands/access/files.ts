import { CliError, exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { connect } from "../../login/connect.ts";
import { diskWord, openDisk, readDiskPath } from "../../ssh/disk-target.ts";
import { remoteHost } from "../../ssh/rsync-words.ts";
import { runOnJob, sshTarget } from "../../ssh/ssh-session.ts";
import type { SshTarget } from "../../ssh/ssh-target.ts";
import { interruptSignal, say } from "../../terminal/terminal.ts";
import { printable } from "../../terminal/text.ts";

interface ForwardFlags {
  readonly acceptNewHostKey: boolean;
}

interface CopyFlags extends ForwardFlags {
  readonly recursive: boolean;
}

/** Copies files. `NAME:path` is a path in a job, `disk:NAME/path` one on a disk. */
export async function copy({ recursive, ...flags }: CopyFlags, from: string, to: string): Promise<void> {
  const remote = [from, to].map(remotePart);
  const [part, ...others] = remote.filter((side) => side !== undefined);
  if (!part || others.length > 0) {
    throw new CliError(
      "One side must be a path in a job or on a disk, and the other a local path",
      exitCodes.usage,
      "For example: berth cp data.csv NAME: or berth cp data.csv disk:NAME/",
    );
  }
  const place = await openPlace(part.job, part.path, flags);
  const sides = [from, to].map((path, at) =>
    remote[at] ? `${remoteHost(place.target)}:${place.path}` : localPath(path),
  );
  const words = [...place.target.options, ...(recursive ? ["-r"] : []), "-P", place.target.port, "--", ...sides];
  throw new QuietExit(await runOnJob(place.target, "scp", words).finally(place.close));
}

/** Reaches a path in a job, or on a disk through a job that has it. */
async function openPlace(word: string, path: string, flags: ForwardFlags) {
  if (word !== diskWord)
    return { target: await getTarget(word || undefined, flags), path, close: async () => undefined };
  const wanted = readDiskPath(path);
  const signal = interruptSignal();
  const { target, locate, close } = await openDisk(await connect({ signal }), wanted.disk, signal, flags);
  return { target, path: locate(wanted.path), close };
}

/** A name of a job has no slash, so a path with a colon behind one is a local one. */
function remotePart(text: string): { readonly job: string; readonly path: string } | undefined {
  const [, job, path] = /^([^/:]*):(.*)$/s.exec(text) ?? [];
  return job === undefined || path === undefined ? undefined : { job, path };
}

/** scp takes what stands before a colon as a host. */
function localPath(path: string): string {
  return path.startsWith("/") ? path : `./${path}`;
}

/** Leads ports of this machine to ports of a job until Ctrl-C. */
export async function forward(flags: ForwardFlags, word: string, ...ports: string[]): Promise<void> {
  const pairs = ports.map(portPair);
  const target = await getTarget(word, flags);
  const leads = pairs.flatMap(([here, there]) => ["-L", `127.0.0.1:${here}:127.0.0.1:${there}`]);
  // OpenSSH runs the local command once every port listens.
  const whenUp = ["-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo up", "-o", "ExitOnForwardFailure=yes"];
  const words = [...target.options, ...whenUp, "-N", ...leads, "-p", target.port];
  const onFirstOutput = () => {
    for (const [here, there] of pairs)
      say(`http://127.0.0.1:${here} leads to port ${there} of ${printable(word)}. Ctrl-C ends it.`);
  };
  throw new QuietExit(
    await runOnJob(target, "ssh", [...words, "--", `${target.user}@${target.host}`], { onFirstOutput }),
  );
}

function portPair(text: string): readonly [string, string] {
  const [, here = "", there = here] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (here !== "" && Number(here) < 65_536 && Number(there) < 65_536) return [here, there];
  throw new CliError(
    `'${printable(text)}' is not a port`,
    exitCodes.usage,
    "For example: berth forward NAME 8888 9000:80",
  );
}

async function getTarget(word: string | undefined, flags: ForwardFlags): Promise<SshTarget> {
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const { job_id } = await findJob(berth, word);
  return sshTarget(berth, job_id, signal, flags);
}
