import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process as its stack describes it. A later process with the same pid differs in the other two. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  readonly boot: string;
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

/** Field 3 is the state and field 22 the start time (proc(5)). Field 2 is a name that may hold anything. */
function isOnLinux(pid: number, startedAt: string, boot: string): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const isZombie = fields[0] === "Z" || fields[0] === "X";
  return !isZombie && fields[19] === startedAt && currentBoot() === boot;
}

function currentBoot(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function isListedByPs(pid: number, startedAt: string): boolean {
  const line = execFileSync("ps", ["-o", "stat=", "-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
  const [, state = "Z", start] = /^(\S+)\s+(.+)$/.exec(line) ?? [];
  return !state.startsWith("Z") && start === startedAt;
}
