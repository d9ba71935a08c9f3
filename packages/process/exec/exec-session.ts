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
