import { spawn, spawnSync } from "node:child_process";
import { cp, lstat } from "node:fs/promises";
import { VolumeRefused } from "#core/problem.ts";
import { systemPath } from "./environment.ts";

/**
 * Copies what is in one directory into another, which is there and empty. Throws `VolumeRefused` for a full disk, and
 * something else for whatever else goes wrong, an abort included; nothing of it goes on then.
 */
export type Copy = (from: string, to: string, signal: AbortSignal) => Promise<void>;

/** What this machine can do: coreutils' cp, which shares blocks where the file system can, else Node's own. */
export function findCopy(): Copy {
  const { status } = spawnSync("cp", ["--reflink=auto", "--version"], { env: { PATH: systemPath }, stdio: "ignore" });
  return status === 0 ? copyByProgram : copyByNode;
}

const MOST_COMPLAINT = 64 * 1024;

/** In a process of its own, so that a large copy delays nothing else. */
export async function copyByProgram(from: string, to: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = spawn("cp", ["-a", "--reflink=auto", "--", `${from}/.`, to], {
    cwd: "/",
    env: { PATH: systemPath, LC_ALL: "C" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  let complaint = "";
  child.stderr.on("data", (part) => {
    complaint = `${complaint}${String(part)}`.slice(0, MOST_COMPLAINT);
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  const code = await ended.finally(() => signal.removeEventListener("abort", kill));
  if (code === 0) return;
  if (/No space left on device|Disk quota exceeded/.test(complaint)) throw diskFull();
  throw new Error("Some of its files could not be copied");
}

/** Without pipes and sockets, which mean nothing once the process that made them is gone. */
export async function copyByNode(from: string, to: string, signal: AbortSignal): Promise<void> {
  const filter = async (path: string): Promise<boolean> => {
    signal.throwIfAborted();
    const found = await lstat(path);
    return found.isFile() || found.isDirectory() || found.isSymbolicLink();
  };
  const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter };
  await inWords(() => cp(from, to, options));
}

/** Does something that writes; a full disk is told in words for the user. */
export async function inWords<Result>(write: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    throw code === "ENOSPC" || code === "EDQUOT" ? diskFull() : error;
  }
}

function diskFull(): VolumeRefused {
  return new VolumeRefused("There is no space left on the disk of this machine");
}
