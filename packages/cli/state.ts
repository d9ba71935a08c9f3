import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError, exitCodes } from "./failure.ts";
import { printable } from "./text.ts";

/** Returns the path of a file in the CLI's own directory. */
export function statePath(...names: string[]): string {
  const { XDG_CONFIG_HOME, HOME } = process.env;
  // Some names are job ids, which the server chooses.
  const wrong = names.find((name) => !/^\w[\w.-]*$/.test(name));
  if (wrong !== undefined) throw new CliError(`'${printable(wrong)}' is no name of a file`, exitCodes.failed);
  const base = XDG_CONFIG_HOME || join(HOME || homedir(), ".config");
  return join(base, "berth", ...names);
}

/** Reads a JSON file. Returns undefined if it is missing or damaged. */
export function readState(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Replaces a file in one step, readable by its owner alone. */
export function writePrivate(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, text, { mode: 0o600, flush: true });
    renameSync(draft, path);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    const hint = "Set XDG_CONFIG_HOME to a directory of yours that can be written.";
    throw new CliError(`${path} cannot be written: ${code}`, exitCodes.failed, hint);
  } finally {
    rmSync(draft, { force: true });
  }
}

const staleMs = 30_000;
const lookEveryMs = 50;

/** Runs a function while no other process of this user is in one with the same name. */
export async function withLock<Value>(name: string, run: () => Promise<Value>): Promise<Value> {
  const path = statePath(`${name}.lock`);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  while (!tryLock(path)) await sleep(lookEveryMs);
  try {
    return await run();
  } finally {
    rmSync(path, { force: true });
  }
}

/** A lock of a process that was killed is removed after half a minute. */
function tryLock(path: string): boolean {
  try {
    closeSync(openSync(path, "wx", 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs > staleMs) rmSync(path, { force: true });
    return false;
  }
}
