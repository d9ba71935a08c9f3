import { execFile, spawn, spawnSync } from "node:child_process";
import { constants } from "node:fs";
import { cp, type FileHandle, lstat, open, opendir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { VolumeRefused } from "#core/problem.ts";
import { hasCode } from "../files.ts";
import { systemPath } from "../sandbox/local-path.ts";

const run = promisify(execFile);

/** Copies into an empty directory. Throws `VolumeRefused` for a full disk. The copy has stopped when it throws. */
export type Copy = (from: string, to: string, signal: AbortSignal) => Promise<void>;

/** Prefers cp of coreutils, which shares blocks where the file system can. */
export function findCopy(): Copy {
  const { status } = spawnSync("cp", ["--reflink=auto", "--version"], { env: { PATH: systemPath }, stdio: "ignore" });
  return status === 0 ? copyByProgram : copyByNode;
}

export async function copyByProgram(from: string, to: string, signal: AbortSignal): Promise<void> {
  await copyDeep(from, to, signal, mostRounds);
}

/** Enough for a tree 200 times as deep as the longest path. */
const mostRounds = 200;

async function copyDeep(from: string, to: string, signal: AbortSignal, rounds: number): Promise<void> {
  const failures = await failuresOfCopy(from, to, signal);
  if (failures.has("full")) throw diskFull();
  if (failures.has("other") || (failures.size > 0 && rounds === 0)) {
    throw new Error("Some of its files could not be copied");
  }
  if (failures.size > 0) await copyFarBelow(from, to, signal, rounds);
}

type Failure = "full" | "too deep" | "other";

async function failuresOfCopy(from: string, to: string, signal: AbortSignal): Promise<ReadonlySet<Failure>> {
  signal.throwIfAborted();
  const child = spawn("cp", ["-a", "--reflink=auto", "--", `${from}/.`, to], {
    cwd: "/",
    env: { PATH: systemPath, LC_ALL: "C" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  const failures = new Set<Failure>();
  // cp quotes names, so each message is one line.
  createInterface(child.stderr).on("line", (line) => failures.add(failureIn(line)));
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  const code = await ended.finally(() => signal.removeEventListener("abort", kill));
  signal.throwIfAborted();
  if (code !== 0 && failures.size === 0) failures.add("other");
  return code === 0 ? new Set() : failures;
}

function failureIn(line: string): Failure {
  if (/: (?:No space left on device|Disk quota exceeded)$/.test(line)) return "full";
  return line.endsWith(": File name too long") ? "too deep" : "other";
}

/** Copies what lies deeper than PATH_MAX (limits.h), from directories on the way there. */
async function copyFarBelow(from: string, to: string, signal: AbortSignal, rounds: number): Promise<void> {
  const far = farBytes - Math.max(Buffer.byteLength(from), Buffer.byteLength(to));
  for await (const place of farBelow(from, far)) {
    signal.throwIfAborted();
    const [source, target] = [await openDirectory(from, place), await openDirectory(to, place)];
    try {
      await empty(seenBy(target));
      await copyDeep(seenBy(source), seenBy(target), signal, rounds - 1);
    } finally {
      await Promise.all([source.close(), target.close()]);
    }
  }
}

/** Deep enough that little is copied twice, with room for one more name of 255 bytes. */
const farBytes = 4_096 - 260;

/** Yields the first directory of each branch whose relative path has `far` bytes. Names are bytes, not text. */
async function* farBelow(whole: string, far: number): AsyncGenerator<Buffer> {
  const waiting = [Buffer.alloc(0)];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (place.length >= far) yield place;
    else
      for (const name of await directoriesIn(within(whole, place))) waiting.push(Buffer.concat([place, slash, name]));
  }
}

/** Reads in chunks: listing a million files at once would block the event loop for a second. */
async function directoriesIn(directory: Buffer): Promise<Buffer[]> {
  const names: Buffer[] = [];
  const entries = await opendir(directory, { encoding: "latin1", bufferSize: 512 });
  for await (const entry of entries) if (entry.isDirectory()) names.push(Buffer.from(entry.name, "latin1"));
  return names;
}

const slash = Buffer.from("/");

function within(whole: string, place: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${whole}/.`), place]);
}

function openDirectory(whole: string, place: Buffer): Promise<FileHandle> {
  return open(within(whole, place), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function seenBy(directory: FileHandle): string {
  return `/proc/${process.pid}/fd/${directory.fd}`;
}

/** Deletes the partial result of the first copy, which may be read-only. Throws if entries remain. */
async function empty(directory: string): Promise<void> {
  const options = { cwd: "/", env: { PATH: systemPath } };
  const remove = () => run("find", [`${directory}/`, "-mindepth", "1", "-delete"], options);
  await remove().catch(async () => {
    await run("chmod", ["-R", "u+rwX", "--", `${directory}/.`], options);
    await remove();
  });
}

/** Copies without pipes and sockets, which are useless without their process. */
export async function copyByNode(from: string, to: string, signal: AbortSignal): Promise<void> {
  const filter = async (path: string): Promise<boolean> => {
    signal.throwIfAborted();
    const found = await lstat(path);
    return found.isFile() || found.isDirectory() || found.isSymbolicLink();
  };
  const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter };
  await describeFailure(() => cp(from, to, options));
}

/** Runs `write`, and turns a full disk into `VolumeRefused`. */
export async function describeFailure<Result>(write: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    throw hasCode(error, "ENOSPC", "EDQUOT") ? diskFull() : error;
  }
}

function diskFull(): VolumeRefused {
  return new VolumeRefused("There is no space left on the disk of this machine");
}
