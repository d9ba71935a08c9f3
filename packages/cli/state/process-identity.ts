import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process as its stack describes it. A later process with the same pid differs in the other two. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  readonly boot: string;
}

/** Returns a process by its pid. Returns undefined if it has ended. */
export function findProcess(pid: number): ProcessIdentity | undefined {
  try {
    const identity = process.platform === "linux" ? findOnLinux(pid) : findByPs(pid);
    return isRunning(identity) ? identity : undefined;
  } catch {
    return undefined;
  }
}

/** Reports whether this very process runs. */
export function isRunning({ pid, startedAt, boot }: ProcessIdentity): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    return process.platform === "linux" ? isOnLinux(pid, startedAt, boot) : isListedByPs(pid, startedAt);
  } catch {
    return false;
  }
}

/** Signals this very process. Returns false if it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  return isRunning(identity) && process.kill(identity.pid, signal);
}

function isOnLinux(pid: number, startedAt: string, boot: string): boolean {
  const [state = "Z", start] = readStat(pid);
  return !/[ZX]/.test(state) && start === startedAt && currentBoot() === boot;
}

function findOnLinux(pid: number): ProcessIdentity {
  const [, startedAt = ""] = readStat(pid);
  return { pid, startedAt, boot: currentBoot() };
}

/** Field 3 is the state and field 22 the start time (proc(5)). Field 2 is a name that may hold anything. */
function readStat(pid: number): [state: string | undefined, startedAt: string | undefined] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return [fields[0], fields[19]];
}

function currentBoot(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function isListedByPs(pid: number, startedAt: string): boolean {
  const [state, start] = readPs(pid);
  return !state.startsWith("Z") && start === startedAt;
}

/** ps lists no process of an earlier boot under a start time of this one. */
function findByPs(pid: number): ProcessIdentity {
  return { pid, startedAt: readPs(pid)[1], boot: "" };
}

function readPs(pid: number): [state: string, startedAt: string] {
  const line = execFileSync("ps", ["-o", "stat=", "-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
  const [, state = "Z", start = ""] = /^(\S+)\s+(.+)$/.exec(line) ?? [];
  return [state, start];
}
