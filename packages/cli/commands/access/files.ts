import { randomUUID } from "node:crypto";
import { lstatSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { CliError, exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { connect } from "../../login/connect.ts";
import { diskWord, openDisk, readDiskPath } from "../../ssh/disk-target.ts";
import { remoteHost } from "../../ssh/rsync-words.ts";
import { runOnJob, sshTarget } from "../../ssh/ssh-session.ts";
import { interruptSignal, outJson, say } from "../../terminal/terminal.ts";
import { printable } from "../../terminal/text.ts";

interface HostKeyFlags {
  readonly acceptNewHostKey: boolean;
}

interface ForwardFlags extends HostKeyFlags {
  readonly json: boolean;
}

interface CopyFlags extends ForwardFlags {
  readonly recursive: boolean;
}

/** Copies files. `NAME:path` is a path in a job, `disk:NAME/path` one on a disk. */
export async function copy({ recursive, json, ...flags }: CopyFlags, from: string, to: string): Promise<void> {
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
  const copied = localCopy(from, to);
  const code = await runOnJob(place.target, "scp", words).finally(place.close);
  if (json && code === 0) outJson({ from, to, job_id: place.jobId, ...countFiles(copied) });
  throw new QuietExit(code);
}

/**
 * Returns the path on this machine that is copied, or that the copy will make. scp copies into an existing directory
 * under the old name. Returns undefined if other files may be there already.
 */
function localCopy(from: string, to: string): string | undefined {
  const remote = remotePart(from);
  if (!remote) return from;
  const isInto = statSync(to, { throwIfNoEntry: false })?.isDirectory();
  const path = isInto ? join(to, basename(remote.path)) : to;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? undefined : path;
}

interface Count {
  readonly files: number | null;
  readonly bytes: number | null;
}

const uncounted: Count = { files: null, bytes: null };

/** Counts the files of a path. Returns null if they cannot be counted, for example those of a pattern. */
function countFiles(path: string | undefined): Count {
  try {
    return path === undefined ? uncounted : count(path);
  } catch {
    // Another program may have removed some. The copy has succeeded all the same.
    return uncounted;
  }
}

function count(path: string): Count {
  const found = statSync(path);
  if (!found.isDirectory()) return { files: 1, bytes: found.size };
  const names = readdirSync(path, { recursive: true, encoding: "utf8" });
  const files = names.map((name) => lstatSync(join(path, name))).filter((entry) => entry.isFile());
  return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

/** Reaches a path in a job, or on a disk through a job that has it. */
async function openPlace(word: string, path: string, flags: HostKeyFlags) {
  if (word !== diskWord) return { ...(await getTarget(word || undefined, flags)), path, close: async () => undefined };
  const wanted = readDiskPath(path);
  const signal = interruptSignal();
  const { locate, ...disk } = await openDisk(await connect({ signal }), wanted.disk, signal, flags);
  return { ...disk, path: locate(wanted.path) };
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
export async function forward({ json, ...flags }: ForwardFlags, word: string, ...ports: string[]): Promise<void> {
  const pairs = ports.map(portPair);
  const { target, jobId } = await getTarget(word, flags);
  const leads = pairs.flatMap(([here, there]) => ["-L", `127.0.0.1:${here}:127.0.0.1:${there}`]);
  // OpenSSH runs the local command in the user's shell once every port listens. The shell may print other text too.
  const mark = randomUUID();
  const whenUp = ["-o", "PermitLocalCommand=yes", "-o", `LocalCommand=echo ${mark}`, "-o", "ExitOnForwardFailure=yes"];
  const words = [...target.options, ...whenUp, "-N", ...leads, "-p", target.port];
  let isUp = false;
  let printed = "";
  const onOutput = (text: string) => {
    printed = printed.slice(-mark.length) + text;
    if (isUp || !printed.includes(mark)) return;
    isUp = true;
    for (const [here, there] of pairs) {
      const url = `http://127.0.0.1:${here}`;
      if (json) outJson({ job_id: jobId, url, local_port: Number(here), job_port: Number(there) });
      say(`${url} leads to port ${there} of ${printable(word)}. Ctrl-C ends it.`);
    }
  };
  throw new QuietExit(await runOnJob(target, "ssh", [...words, "--", `${target.user}@${target.host}`], { onOutput }));
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

async function getTarget(word: string | undefined, flags: HostKeyFlags) {
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const { job_id } = await findJob(berth, word);
  return { target: await sshTarget(berth, job_id, signal, flags), jobId: job_id };
}
