import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { closeLimits, type RunLimits } from "./limits.ts";
import { networkVariable } from "./network.ts";
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
async function membersOf(tree: ProcessTree): Promise<ProcessIdentity[]> {
  if (process.platform !== "linux") return [...tree.leaders, ...tree.sandboxes].filter(isAlive);
  const seen = await nextLook();
  const namespaces = new Set(tree.sandboxes.filter(isAlive).map(({ pid }) => link(pid, "ns/pid")));
  return seen.filter((one) => belongs(one, tree, namespaces)).flatMap(({ status }) => status() ?? []);
}

/**
 * Asks everything of the run to end, but for the processes that hold its sandboxes: ending these is SIGKILL inside. And
 * but for its network, which may still be needed.
 */
export async function terminateTree(tree: ProcessTree): Promise<void> {
  const holders = new Set(
    (tree.sandboxes.length > 0 ? [...tree.leaders, ...tree.sandboxes] : []).map(({ pid }) => pid),
  );
  for (const member of await membersOf(tree)) {
    const isNetwork = environment(member.pid).includes(`\0${networkVariable}=`);
    if (!holders.has(member.pid) && !isNetwork) signal(member, "SIGTERM");
  }
}

const mostPauseMs = 100;

/** Kills everything of the run, again and again while it forks; false when some of it still lived after `withinMs`. */
export async function killTree(tree: ProcessTree, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  closeLimits(tree.limits);
  for (let round = 0; ; round += 1) {
    const members = await membersOf(tree);
    if (members.length === 0) return true;
    if (performance.now() > end) return false;
    for (const member of members) signal(member, "SIGKILL");
    if (round > 3) await sleep(Math.min(5 * round, mostPauseMs));
  }
}

/** A process as one look at all of them finds it. What few ask for is read when the first one does. */
interface Seen {
  /** The runs that its environment names, to which it belongs or whose network it is. */
  readonly runs: readonly string[];
  readonly status: () => ProcessStatus | undefined;
  readonly namespace: () => string | undefined;
  readonly place: () => string | undefined;
}

let looking: Promise<readonly Seen[]> | undefined;

/** A look that begins after this call; hundreds of runs that end at one moment share it. */
function nextLook(): Promise<readonly Seen[]> {
  looking ??= new Promise((resolve, reject) => {
    setImmediate(() => {
      looking = undefined;
      try {
        resolve(lookAtAll());
      } catch (error) {
        reject(error);
      }
    });
  });
  return looking;
}

function lookAtAll(): Seen[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => pid !== process.pid).map(seenProcess);
}

const named = new RegExp(`\\0(?:BERTH_RUN|${networkVariable})=([^\\0]*)(?=\\0)`, "g");

function seenProcess(pid: number): Seen {
  const runs = Array.from(environment(pid).matchAll(named), ([, run = ""]) => run);
  const status = once(() => {
    const found = findProcess(pid);
    return found?.isSpent ? undefined : found;
  });
  return { runs, status, namespace: once(() => link(pid, "ns/pid")), place: once(() => link(pid, "cwd")) };
}

function once<Value>(read: () => Value): () => Value {
  let known: { readonly value: Value } | undefined;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}

/** Where processes cannot be listed, a group's leader stands for all of the group. */
function signal(member: ProcessIdentity, name: NodeJS.Signals): void {
  if (process.platform === "linux") {
    signalProcess(member, name);
    return;
  }
  if (isAlive(member)) process.kill(-member.pid, name);
}

function belongs(seen: Seen, tree: ProcessTree, namespaces: ReadonlySet<string | undefined>): boolean {
  if (seen.runs.includes(tree.name)) return true;
  const namespace = namespaces.size > 0 ? seen.namespace() : undefined;
  if (namespace !== undefined && namespaces.has(namespace)) return true;
  const status = seen.status();
  if (!status) return false;
  if (tree.leaders.some((leader) => isLedBy(status, leader))) return true;
  if (status.hasTerminal) return false;
  return [tree.directory, ...tree.volumes].some((directory) => isWithin(seen.place(), directory));
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

/** Of an environment, whose size is its owner's choice, that is the beginning: each look reads those of all processes. */
const environmentBytes = Buffer.alloc(128 * 1024);

function environment(pid: number): string {
  try {
    const file = openSync(`/proc/${pid}/environ`, "r");
    try {
      let length = 0;
      for (let part = -1; part !== 0 && length < environmentBytes.length; length += part) {
        part = readSync(file, environmentBytes, length, environmentBytes.length - length, null);
      }
      return `\0${environmentBytes.toString("latin1", 0, length)}\0`;
    } finally {
      closeSync(file);
    }
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
