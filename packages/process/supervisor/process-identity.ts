import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process that cannot be mistaken for a later one of the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: ticks since boot on Linux, a date to the second elsewhere. */
  readonly startedAt: string;
  readonly boot: string;
}

export interface ProcessStatus extends ProcessIdentity {
  /** 0 where the machine does not tell. */
  readonly group: number;
  readonly session: number;
  readonly hasTerminal: boolean;
  /** The foreground process group of its terminal; -1 without one, and where the machine does not tell. */
  readonly foreground: number;
  /**
   * It runs no more and holds nothing: so stays the first process of a pid namespace until all others in it have been
   * reaped (pid_namespaces(7)), which whoever took them over may do late or never.
   */
  readonly isSpent: boolean;
}

/** The process of this pid, or undefined when there is none or only its zombie. */
export function findProcess(pid: number): ProcessStatus | undefined {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

/**
 * The process of this pid that this one has started and has not waited for yet, which keeps its pid until then: also
 * where it has ended already, since what it left behind is known by it.
 */
export function findChild(pid: number): ProcessIdentity | undefined {
  const found = process.platform === "linux" ? fromProc(pid, "ended as well") : fromPs(pid, "ended as well");
  return found && { pid, startedAt: found.startedAt, boot: found.boot };
}

/** Whether this very process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  const found = findProcess(identity.pid);
  return found?.startedAt === identity.startedAt && found.boot === identity.boot;
}

/** Signals this very process; false when it is gone or not ours to signal. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch {
    return false;
  }
}

let boot: string | undefined;

/** Names the time between two boots of this machine: pids and start times mean nothing beyond it. */
export function bootId(): string {
  boot ??= readBootId();
  return boot;
}

function readBootId(): string {
  if (process.platform === "linux") return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return execFileSync("sysctl", ["-n", "kern.boottime"], { encoding: "utf8" }).trim();
}

type Which = "running" | "ended as well";

/** PF_EXITING of the kernel's include/linux/sched.h. */
const exiting = 0x4;

/** Field numbers are those of proc(5); the second field may hold anything, so reading starts behind it. */
function fromProc(pid: number, which: Which = "running"): ProcessStatus | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, , group, session, terminal, foreground] = fields;
    const [flags, threads, startedAt, memory] = [fields[6], fields[17], fields[19], fields[20]];
    const hasEnded = state === "Z" || state === "X";
    if (startedAt === undefined || (hasEnded && which === "running")) return undefined;
    const ids = { group: Number(group), session: Number(session), foreground: Number(foreground) };
    const isSpent = (Number(flags) & exiting) !== 0 && memory === "0" && threads === "1";
    return { pid, startedAt, boot: bootId(), ...ids, hasTerminal: terminal !== "0", isSpent };
  } catch {
    return undefined;
  }
}

function fromPs(pid: number, which: Which = "running"): ProcessStatus | undefined {
  try {
    const columns = ["-o", "stat=", "-o", "pgid=", "-o", "lstart="];
    const line = execFileSync("ps", [...columns, "-p", String(pid)], { encoding: "utf8" }).trim();
    const [, state, group, startedAt = ""] = /^(\S+)\s+(\d+)\s+(.+)$/.exec(line) ?? [];
    if (state === undefined || (state.startsWith("Z") && which === "running")) return undefined;
    const unknown = { session: 0, hasTerminal: false, foreground: -1, isSpent: false };
    return { pid, startedAt, boot: bootId(), group: Number(group), ...unknown };
  } catch {
    return undefined;
  }
}
