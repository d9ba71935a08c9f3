import { spawn } from "node:child_process";
import { remoteHost, remoteShell } from "../ssh/rsync-words.ts";
import type { SshTarget } from "../ssh/ssh-target.ts";
import { ended, startScriptIn } from "./remote.ts";
import { packScript, unpackScript } from "./remote-scripts.ts";
import { nulList, unpackPaths } from "./unpack.ts";

export interface CopyPlace {
  readonly target: SshTarget;
  /** Local directory. */
  readonly local: string;
  /** The name of the directory in the job, below `root`. */
  readonly name: string;
  readonly root: string;
  /** Both sides have an rsync that can be used. */
  readonly withRsync: boolean;
  readonly signal: AbortSignal;
}

/** Copies files into the job. Links are copied as links. Nothing is removed there. */
export function copyIn(place: CopyPlace, paths: readonly string[]): Promise<void> {
  if (!place.withRsync) return packTo(place, paths);
  return rsync(place, paths, [`${place.local}/`, remotePath(place)]);
}

/** Copies paths out of the job. Directories are copied whole. No file may run as its owner: the job made it. */
export async function copyOut(place: CopyPlace, paths: readonly string[]): Promise<void> {
  if (!place.withRsync) return unpackFrom(place, paths);
  // A link that leads out of the directory is left out, since the job chose where it leads.
  return rsync(place, paths, ["--recursive", "--safe-links", "--chmod=ug-s", remotePath(place), `${place.local}/`]);
}

function remotePath({ target, root, name }: CopyPlace): string {
  return `${remoteHost(target)}:${root}/${name}/`;
}

/** Names go by standard input, each with a NUL behind it, so they are neither options nor patterns. */
async function rsync({ target, signal }: CopyPlace, paths: readonly string[], words: readonly string[]): Promise<void> {
  const rsyncArguments = [
    "-lpt",
    "--partial",
    "--protect-args",
    "--from0",
    "--files-from=-",
    "-e",
    remoteShell(target),
  ];
  const child = spawn("rsync", [...rsyncArguments, ...words], { stdio: ["pipe", "ignore", "pipe"], detached: true });
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(nulList(paths));
  await ended(child, "rsync", signal);
}

async function packTo({ target, local, name, signal }: CopyPlace, paths: readonly string[]): Promise<void> {
  const words = ["-C", local, "--no-recursion", "--null", "-T", "-", "-cf", "-"];
  // macOS would add its metadata files.
  const env = { ...process.env, COPYFILE_DISABLE: "1" };
  const pack = spawn("tar", words, { stdio: "pipe", env, detached: true });
  const unpack = startScriptIn(target, unpackScript(name));
  pack.stdin?.on("error", () => undefined);
  pack.stdin?.end(nulList(paths));
  unpack.stdin?.on("error", () => void pack.kill());
  if (unpack.stdin) pack.stdout?.pipe(unpack.stdin);
  unpack.stdout?.resume();
  await Promise.all([ended(unpack, "ssh", signal), ended(pack, "tar", signal)]);
}

async function unpackFrom({ target, local, name, signal }: CopyPlace, paths: readonly string[]): Promise<void> {
  const wanted = paths.map((path) => `./${path}`);
  const pack = startScriptIn(target, packScript(name), wanted);
  pack.stdin.end();
  await Promise.all([ended(pack, "ssh", signal), unpackPaths(pack.stdout, { local, paths, signal })]);
}
