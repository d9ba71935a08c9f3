import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../terminal/terminal.ts";
import { describeFailure, makePrivateDirectory, readState, statePath } from "./state.ts";

/** The process that holds a lock. Another process may get its number later, but not its start. */
interface Holder {
  readonly host: string;
  readonly pid: number;
  readonly start: string;
}

const pollEveryMs = 50;
const sayAfterTries = 20;

/** Runs a function while no other process of this user is in one with the same name. */
export async function withLock<Value>(name: string, run: () => Promise<Value>): Promise<Value> {
  const path = statePath(`${name}.lock`);
  makePrivateDirectory(dirname(path));
  for (let tries = 1; !describeFailure(path, "written", () => tryLock(path)); tries++) {
    if (tries === sayAfterTries) say(`Waiting for another berth that holds ${path}.`);
    await sleep(pollEveryMs);
  }
  try {
    return await run();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string): boolean {
  const { pid } = process;
  const holder: Holder = { host: hostname(), pid, start: findStart(pid) ?? "" };
  if (createOnce(path, JSON.stringify(holder))) return true;
  if (isLeft(path)) removeLeft(path);
  return false;
}

/** The file appears with its content, so no reader sees it empty. Reports whether it is ours. */
function createOnce(path: string, text: string): boolean {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

const staleMs = 60_000;

/** Reports whether the holder of a lock is dead. A holder on another machine of a shared home is judged by age. */
function isLeft(path: string): boolean {
  const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
  if (mtimeMs === undefined) return false;
  const holder = readState(path) as Partial<Holder> | undefined;
  if (holder?.host !== hostname() || typeof holder.pid !== "number") return Date.now() - mtimeMs > staleMs;
  return findStart(holder.pid) !== holder.start;
}

/** Only one process at a time removes a lock, so none removes the lock of the process that came next. */
function removeLeft(path: string): void {
  const guard = `${path}.guard`;
  if (!createOnce(guard, "")) {
    const { mtimeMs = Date.now() } = statSync(guard, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > staleMs) rmSync(guard, { force: true });
    return;
  }
  if (isLeft(path)) rmSync(path, { force: true });
  rmSync(guard, { force: true });
}

/** Returns the start time of a process, or undefined if no process has this id. */
function findStart(pid: number): string | undefined {
  if (process.platform !== "linux") {
    return spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).stdout?.trim() || undefined;
  }
  try {
    // Field 22 of proc(5), counted behind the name, which may hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Z and X: the process has ended, and its parent has not reaped it yet.
    return /[ZX]/.test(state) ? undefined : rest[18];
  } catch {
    return undefined;
  }
}
