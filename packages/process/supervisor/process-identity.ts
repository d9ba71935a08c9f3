import { type ChildProcess, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Identity that a reused pid cannot match. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: ticks since boot on Linux, a date to the second elsewhere. */
  readonly startedAt: string;
  readonly boot: string;
}

export interface ProcessStatus extends ProcessIdentity {
  /** Process group; 0 if the machine does not report it. */
  readonly group: number;
  readonly session: number;
  readonly hasTerminal: boolean;
  /** -1 without a terminal, or if the machine does not report it. */
  readonly foreground: number;
  /** It has exited and holds nothing, like a namespace's first process with unreaped others (pid_namespaces(7)). */
  readonly isSpent: boolean;
}

/** Returns the process of this pid; undefined for none or a zombie. */
export function findProcess(pid: number): ProcessStatus | undefined {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

/** Identifies an unreaped child, even a zombie: its descendants are found by it. */
export function findChild(pid: number): ProcessIdentity | undefined {
  const found = process.platform === "linux" ? fromProc(pid, "ended as well") : fromPs(pid, "ended as well");
  return found && { pid, startedAt: found.startedAt, boot: found.boot };
}

export function isAlive(identity: ProcessIdentity): boolean {
  const found = findProcess(identity.pid);
  return found?.startedAt === identity.startedAt && found.boot === identity.boot;
}

export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch {
    return false;
  }
}

export function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Signals the group that a child of this process leads, unless the child has exited. */
export function signalChildGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || hasExited(child)) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    return;
  }
}

let boot: string | undefined;

/** Returns an id of the current boot. Pids and start times are meaningless across boots. */
export function bootId(): string {
  boot ??= readBootId();
  return boot;
}

function readBootId(): string {
  if (process.platform === "linux") return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return execFileSync("sysctl", ["-n", "kern.boottime"], { encoding: "utf8" }).trim();
}

type Which = "running" | "ended as well";

/** PF_EXITING (include/linux/sched.h of the kernel). */
const exiting = 0x4;

/** Field numbers are those of proc(5). The second field may contain any character, so parse from its end. */
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
