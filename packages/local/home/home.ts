import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { findLocking, lockFile, takeLock } from "#process/supervisor/lock.ts";
import { findProcess, isAlive, type ProcessIdentity } from "#process/supervisor/process-identity.ts";
import { shellWord } from "../shell-text.ts";
import { replaceFile, writeOnce } from "./secret-file.ts";

export interface StackRecord {
  readonly url: string;
  readonly stsUrl: string;
  readonly process: ProcessIdentity;
  readonly stopped: boolean;
}

export interface Home {
  readonly path: string;
  readonly earlier: StackRecord | undefined;
  writeRecord(record: Omit<StackRecord, "process">): void;
  release(): void;
}

/**
 * Locks a directory for one local stack as long as this process lives. Throws if another stack has it, or if its
 * format is unknown to this version.
 */
export function openHome(directory: string): Home {
  const path = resolve(directory);
  prepare(path);
  const lock = takeLock(path, findLocking());
  if (lock === "busy" || lock === "gone") {
    const running = readRecord(path);
    const where = running ? ` It listens on ${running.url}, pid ${running.process.pid}.` : "";
    throw new Error(`Another local stack is using ${path}.${where}\nStop it, or set BERTH_HOME to another directory.`);
  }
  const ownProcessStatus = findProcess(process.pid);
  if (!ownProcessStatus) throw new Error("The process table lacks this process");
  const { pid, startedAt, boot } = ownProcessStatus;
  return {
    path,
    earlier: readRecord(path),
    writeRecord(record) {
      try {
        replaceFile(recordPath(path), JSON.stringify({ ...record, process: { pid, startedAt, boot } }));
      } catch (error) {
        throw withAdvice(path, error);
      }
    },
    release: lock.release,
  };
}

function prepare(path: string): void {
  try {
    makeDirectory(path);
    refuseOtherFiles(path);
    chmodSync(path, 0o700);
    refuseOtherFormat(path);
    writeFileSync(join(path, lockFile), "", { flag: "a" });
  } catch (error) {
    throw withAdvice(path, error);
  }
}

function withAdvice(path: string, error: unknown): unknown {
  const { cause, message } = error as Error;
  const reason = describeRefusal(error);
  const sentence = reason === undefined ? message : `The directory ${path} cannot be used: ${reason}`;
  if (reason === undefined && describeRefusal(cause ?? {}) === undefined) return error;
  return new Error(`${sentence}.\nSet BERTH_HOME to a directory of your own, on a disk with free space.`, {
    cause: error,
  });
}

/** Refuses a directory with other files, because a home is closed to other users. */
function refuseOtherFiles(path: string): void {
  const names = readdirSync(path).filter((name) => name !== "lost+found" && !isOfStart(name));
  if (names.length === 0 || names.some((name) => signsOfHome.includes(name))) return;
  throw new Error(
    `${path} contains other files (${names.slice(0, 3).join(", ")}), and a stack needs its own directory.\n` +
      "Set BERTH_HOME to one that is empty, or that does not exist.",
  );
}

const signsOfHome = ["format", "stack.json", "db"];

const HOME_FORMAT = "5";

/** Homes without a format file predate it and count as format 1. */
function refuseOtherFormat(path: string): void {
  const file = join(path, "format");
  if (isNew(path)) {
    rmSync(file, { force: true });
    writeOnce(file, () => `${HOME_FORMAT}\n`);
  }
  const format = readFormat(file) ?? "1";
  if (format === HOME_FORMAT) return;
  if (!/^\d+$/.test(format)) throw damagedFormat(path, file, format);
  const age = Number(format) > Number(HOME_FORMAT) ? "a later" : "an earlier";
  throw new Error(
    `${path} was written by ${age} version of Berth (format ${format}, this one reads ${HOME_FORMAT}).\n` +
      "Move it away, or set BERTH_HOME to another directory. Environments, disks and keys in it are not carried over.",
  );
}

function isNew(path: string): boolean {
  const names = readdirSync(path).filter(
    (name) => !["format", lockFile, "lost+found"].includes(name) && !isOfStart(name),
  );
  return names.length === 0 && !readFormat(join(path, "format"));
}

/** Matches drafts of a killed first start (secret-file.ts), and files that the CLI writes before a start. */
function isOfStart(name: string): boolean {
  return /^(?:(?:format|lock|start)\.\d+(?:\.[\da-f]+)?|stack\.log(?:\.1)?)$/.test(name);
}

function readFormat(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
}

function damagedFormat(path: string, file: string, format: string): Error {
  const damage = format === "" ? "empty" : "no number";
  return new Error(
    `${file} is damaged: it is ${damage}, and should say which version of Berth wrote the directory.\n` +
      `Put it back from a copy. Where it was this version: echo ${HOME_FORMAT} > ${shellWord(file)}\n` +
      `Or move ${path} away: the next start makes a new one, without environments, disks and keys.`,
  );
}

export function findRunningStack(directory: string): StackRecord | undefined {
  const record = readRecord(resolve(directory));
  return record && !record.stopped && isAlive(record.process) ? record : undefined;
}

function recordPath(path: string): string {
  return join(path, "stack.json");
}

function readRecord(path: string): StackRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(path), "utf8")) as StackRecord;
  } catch {
    return undefined;
  }
}

/**
 * Creates a directory and its parents one by one. Node's `recursive` never returns if a file system denies that an
 * existing directory exists, as /proc does. Throws with the path and the reason.
 */
export function makeDirectory(path: string): void {
  if (isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) makeDirectory(above);
  try {
    mkdirSync(path);
  } catch (error) {
    if (isDirectory(path)) return;
    throw new Error(`The directory ${path} cannot be created: ${describeRefusal(error) ?? String(error)}`, {
      cause: error,
    });
  }
}

function describeRefusal(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? undefined : (reasons[code] ?? code);
}

/** Returns false for an unreadable directory too: creating it then reports why. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EEXIST: "a file has that name",
  ENOENT: "this file system refuses it",
  ENOSPC: "its disk is full",
  ENOTDIR: "one of its parents is a file",
  EPERM: "not permitted",
  EROFS: "its file system is read-only",
};
