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

/** Reports whether the process belongs to the foreground process group of a terminal, which Ctrl-C there ends. */
export function isInForeground({ pid }: ProcessIdentity): boolean {
  if (process.platform !== "linux") return readPs(pid)[0].includes("+");
  const { group, foreground } = readStat(pid);
  return group === foreground;
}

function isOnLinux(pid: number, startedAt: string, boot: string): boolean {
  const found = readStat(pid);
  return !/[ZX]/.test(found.state) && found.startedAt === startedAt && currentBoot() === boot;
}

function findOnLinux(pid: number): ProcessIdentity {
  return { pid, startedAt: readStat(pid).startedAt, boot: currentBoot() };
}

/**
 * Reads fields 3 (state), 5 (process group), 8 (foreground process group of the terminal, or -1) and 22 (start time) of
 * proc(5). Field 2 is a name that may hold anything.
 */
function readStat(pid: number) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = "Z", , group = "", , , foreground = ""] = fields;
  return { state, group, foreground, startedAt: fields[19] ?? "" };
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
