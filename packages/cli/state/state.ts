import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { CliError, doctorHint, exitCodes } from "../failure.ts";
import { printable } from "../terminal/text.ts";

/** Returns the path of a file in the CLI's own directory. Throws if another user owns the directory. */
export function statePath(...names: string[]): string {
  // Some names are job ids, which the server chooses.
  const wrong = names.find((name) => !/^\w[\w.-]*$/.test(name));
  if (wrong !== undefined) throw new CliError(`'${printable(wrong)}' is not a file name`, exitCodes.failed, doctorHint);
  const root = join(configHome(), "berth");
  refuseForeign(root);
  if (names.length > 1) refuseForeign(join(root, names[0] ?? ""));
  return join(root, ...names);
}

/** Reports whether a file of the state exists and may be read. */
export function hasState(name: string): boolean {
  try {
    return existsSync(statePath(name));
  } catch {
    return false;
  }
}

/** The XDG base directory specification ignores relative paths. */
function configHome(): string {
  const { XDG_CONFIG_HOME = "", HOME } = process.env;
  if (isAbsolute(XDG_CONFIG_HOME)) return XDG_CONFIG_HOME;
  try {
    return join(HOME || homedir(), ".config");
  } catch {
    throw new CliError("You have no home directory", exitCodes.failed, moveHint);
  }
}

export const moveHint = "Set XDG_CONFIG_HOME to a directory of yours that can be written.";

/** The owner of a directory, or of a link to it, can replace every file in it. */
function refuseForeign(directory: string): void {
  const uid = process.getuid?.();
  const found = describeFailure(directory, "read", () => [
    lstatSync(directory, { throwIfNoEntry: false }),
    statSync(directory, { throwIfNoEntry: false }),
  ]);
  if (found.every((entry) => entry === undefined || entry.uid === uid || uid === undefined)) return;
  throw new CliError(`${directory} belongs to another user`, exitCodes.failed, moveHint);
}

/** Reads a JSON file. Returns undefined if it is missing or damaged. */
export function readState(path: string): unknown {
  const text = describeFailure(path, "read", () => readIfThere(path));
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (/^(ENOENT|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

/** Replaces a file in one step, readable only by its owner. */
export function writePrivate(path: string, text: string): void {
  // The global does not load all of node:crypto.
  const draft = `${path}.${crypto.randomUUID()}`;
  describeFailure(path, "written", () => {
    makePrivateDirectory(dirname(path));
    try {
      // `wx` follows no link.
      writeFileSync(draft, text, { mode: 0o600, flag: "wx", flush: true });
      renameSync(draft, path);
    } finally {
      rmSync(draft, { force: true });
    }
  });
}

/** Creates a directory, and takes the right to write in it from others. */
export function makePrivateDirectory(path: string): void {
  describeFailure(path, "written", () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    makeDirectory(path);
    if (statSync(path).mode & 0o022) chmodSync(path, 0o700);
  });
}

/** Recursively, Node answers ENOENT for a read-only file system. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(path)) throw error;
  }
}

/** Removes the files of a directory of the state that have not been written for a time. */
export function removeOldState(directory: string, oldestMs: number): void {
  const path = statePath(directory);
  for (const name of readdirSync(path)) {
    const { mtimeMs = Date.now() } = statSync(join(path, name), { throwIfNoEntry: false }) ?? {};
    if (mtimeMs < Date.now() - oldestMs) rmSync(join(path, name), { force: true });
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "you have no right to",
  EPERM: "you have no right to",
  ENOSPC: "the disk is full",
  EDQUOT: "your quota is used up",
  EROFS: "the file system is read-only",
  ENOENT: "its directory does not exist and cannot be created",
  ENOTDIR: "a file is in the place of its directory",
  EEXIST: "a file is in the place of its directory",
  EISDIR: "a directory is in its place",
  ELOOP: "it is a link that leads nowhere",
};

/** Runs a function on a file. Throws a system error as one sentence with a hint. */
export function describeFailure<Value>(path: string, verb: "read" | "written", run: () => Value): Value {
  try {
    return run();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof CliError || code === undefined) throw error;
    throw new CliError(`${path} cannot be ${verb}: ${reasons[code] ?? message}`, exitCodes.failed, moveHint);
  }
}
