import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { closeLimits, type RunLimits } from "./limits.ts";
import { findProcess, isAlive, type ProcessIdentity, type ProcessStatus, signalProcess } from "./process-identity.ts";

/** How the processes of one run are known. */
export interface ProcessTree {
  /** The value of BERTH_RUN. */
  readonly name: string;
  /** The run's directory: whoever works in it belongs to the run. */
  readonly directory: string;
  /** Its volumes, while no other run can have them: the same holds for these. */
  readonly volumes: readonly string[];
  /** First processes of the machines; each leads a group and a session. */
  readonly leaders: readonly ProcessIdentity[];
  /** First processes of the sandboxes' own pid namespaces. */
  readonly sandboxes: readonly ProcessIdentity[];
  readonly limits: RunLimits;
}

/**
 * Everything of the run that lives: by environment, group, session, pid namespace and working directory. Without
 * /proc (macOS) only the groups whose leader lives are seen, and each by its leader alone.
 */
function membersOf(tree: ProcessTree): ProcessIdentity[] {
  if (process.platform !== "linux") return [...tree.leaders, ...tree.sandboxes].filter(isAlive);
  const namespaces = new Set(tree.sandboxes.filter(isAlive).map(({ pid }) => link(pid, "ns/pid")));
  const members: ProcessIdentity[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || !belongs(pid, tree, namespaces)) continue;
    const found = findProcess(pid);
    if (found && !found.isSpent) members.push(found);
  }
  return members;
}

/** Asks everything of the run to end, but for the processes that hold its sandboxes: ending these is SIGKILL inside. */
export function terminateTree(tree: ProcessTree): void {
  const holders = new Set(
    (tree.sandboxes.length > 0 ? [...tree.leaders, ...tree.sandboxes] : []).map(({ pid }) => pid),
  );
  for (const member of membersOf(tree)) {
    if (!holders.has(member.pid)) signal(member, "SIGTERM");
  }
}

const mostPauseMs = 100;

/** Kills everything of the run, again and again while it forks; false when some of it still lived after `withinMs`. */
export async function killTree(tree: ProcessTree, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  closeLimits(tree.limits);
  for (let round = 0; ; round += 1) {
    const members = membersOf(tree);
    if (members.length === 0) return true;
    if (performance.now() > end) return false;
    for (const member of members) signal(member, "SIGKILL");
    if (round > 3) await sleep(Math.min(5 * round, mostPauseMs));
  }
}

/** Where processes cannot be listed, a group's leader stands for all of the group. */
function signal(member: ProcessIdentity, name: NodeJS.Signals): void {
  if (process.platform === "linux") {
    signalProcess(member, name);
    return;
  }
  if (isAlive(member)) process.kill(-member.pid, name);
}

function belongs(pid: number, tree: ProcessTree, namespaces: ReadonlySet<string | undefined>): boolean {
  if (environment(pid).includes(`\0BERTH_RUN=${tree.name}\0`)) return true;
  const namespace = namespaces.size > 0 ? link(pid, "ns/pid") : undefined;
  if (namespace !== undefined && namespaces.has(namespace)) return true;
  const status = findProcess(pid);
  if (!status) return false;
  if (tree.leaders.some((leader) => isLedBy(status, leader))) return true;
  if (status.hasTerminal) return false;
  const place = link(pid, "cwd");
  return [tree.directory, ...tree.volumes].some((directory) => isWithin(place, directory));
}

/** Somebody who looks around in the directory has a terminal, and a run has none. */
function isWithin(path: string | undefined, directory: string): boolean {
  return path === directory || (path?.startsWith(`${directory}/`) ?? false);
}

/** In its group or session, unless the leader's pid has been given to another process since. */
function isLedBy(status: ProcessStatus, leader: ProcessIdentity): boolean {
  if (status.boot !== leader.boot) return false;
  if (status.group !== leader.pid && status.session !== leader.pid) return false;
  const now = findProcess(leader.pid);
  return (!now || now.startedAt === leader.startedAt) && Number(status.startedAt) >= Number(leader.startedAt);
}

function environment(pid: number): string {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}\0`;
  } catch {
    return "";
  }
}

function link(pid: number, name: "cwd" | "ns/pid"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return undefined;
  }
}
