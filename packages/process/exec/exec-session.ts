import { readdirSync } from "node:fs";
import { findProcess, type ProcessIdentity, signalProcess } from "../supervisor/process-identity.ts";

/** Signals the sessions of these leaders, or only their groups on macOS. Returns false if they are empty. */
export function signalSessions(leaders: readonly ProcessIdentity[], signal: NodeJS.Signals): boolean {
  if (process.platform !== "linux") return leaders.map((leader) => signalGroup(leader, signal)).includes(true);
  const ours = new Map(leaders.filter(isStillTheirs).map((leader) => [leader.pid, leader]));
  if (ours.size === 0) return false;
  let found = false;
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    const status = Number.isInteger(pid) ? findProcess(pid) : undefined;
    const leader = status && ours.get(status.session);
    if (!status || !leader || Number(status.startedAt) < Number(leader.startedAt)) continue;
    found = signalProcess(status, signal) || found;
  }
  return found;
}

const mostRounds = 20;

/** Kills repeatedly, because processes may fork. */
export function killSessions(leaders: readonly ProcessIdentity[]): void {
  for (let round = 0; round < mostRounds && signalSessions(leaders, "SIGKILL"); round += 1);
}

function isStillTheirs(leader: ProcessIdentity): boolean {
  const now = findProcess(leader.pid);
  return !now || now.startedAt === leader.startedAt;
}

/** Signals a leader's group, without a scan of all processes. Returns false if it is gone. */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isStillTheirs(leader)) return false;
  try {
    return process.kill(-leader.pid, signal);
  } catch {
    return false;
  }
}

/** Ended command whose session may hold processes until `killAt` (by performance.now()). */
interface Leftover {
  readonly leader: ProcessIdentity | undefined;
  readonly killAt: number;
}

export interface Reaper {
  add(run: string, command: Leftover): void;
  killAll(run: string): void;
}

const everyMs = 250;

/** One process scan serves all commands. */
export function reapLeftovers(): Reaper {
  const left = new Map<Leftover, string>();
  const reap = (isDue: (command: Leftover, run: string) => boolean) => {
    const due = [...left].filter(([command, run]) => isDue(command, run)).map(([command]) => command);
    for (const command of due) left.delete(command);
    killSessions(due.flatMap(({ leader }) => leader ?? []));
  };
  setInterval(() => left.size > 0 && reap(({ killAt }) => killAt <= performance.now()), everyMs).unref();
  return {
    add: (run, command) => void left.set(command, run),
    killAll: (run) => reap((_, its) => its === run),
  };
}
