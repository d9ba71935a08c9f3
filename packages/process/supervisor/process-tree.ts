import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { findText } from "../files.ts";
import { networkVariable } from "../network/network.ts";
import { closeLimits, type RunLimits } from "../sandbox/limits.ts";
import { findProcess, isAlive, type ProcessIdentity, type ProcessStatus, signalProcess } from "./process-identity.ts";

export interface ProcessTree {
  readonly name: string;
  /** A process that works in it, outside of any sandbox, belongs to the run. */
  readonly directory: string;
  /**
   * Like `directory`, for the volumes that no other run can have yet. Each scan calls it, because the next run may get
   * them between two scans.
   */
  volumes(): readonly string[];
  /** First processes of the machines; each leads a group and a session. */
  readonly leaders: readonly ProcessIdentity[];
  readonly sandboxes: readonly ProcessIdentity[];
  readonly limits: RunLimits;
}

/** Process of the run. Its network process is never asked to end, because others may still need it. */
export interface Member {
  readonly identity: ProcessIdentity;
  readonly isNetwork: boolean;
}

/**
 * Finds the run's processes by group, session and pid namespace, and by environment and working directory where an
 * environment cannot fake them. It finds only living group leaders without /proc (macOS).
 */
export async function listMembers(tree: ProcessTree): Promise<Member[]> {
  if (process.platform !== "linux") {
    const leading = [...tree.leaders, ...tree.sandboxes].filter(isAlive);
    return leading.map((identity) => ({ identity, isNetwork: false }));
  }
  const seen = await nextReading();
  const recorded = tree.sandboxes.filter(isAlive).map(({ pid }) => link(pid, "ns/pid"));
  // A sandbox that just began is in no record yet.
  const begun = seen.filter((candidate) => !candidate.isOutside() && candidate.runs().includes(tree.name));
  const namespaces = new Set([...recorded, ...begun.map(({ namespace }) => namespace())]);
  const places = [tree.directory, ...tree.volumes()];
  return seen.flatMap((candidate) => {
    const identity = belongs(candidate, tree, namespaces, places) ? candidate.status() : undefined;
    return identity ? [{ identity, isNetwork: candidate.isNetwork() }] : [];
  });
}

/** Spares the holders of a sandbox, whose end is a SIGKILL inside, and the network, which others may still need. */
export async function terminateTree(tree: ProcessTree): Promise<void> {
  const holders = new Set(
    (tree.sandboxes.length > 0 ? [...tree.leaders, ...tree.sandboxes] : []).map(({ pid }) => pid),
  );
  for (const { identity, isNetwork } of await listMembers(tree)) {
    if (!holders.has(identity.pid) && !isNetwork) signal(identity, "SIGTERM");
  }
}

const mostPauseMs = 100;

/** Kills repeatedly, because processes may fork. Returns false if some live after `withinMs`. */
export async function killTree(tree: ProcessTree, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  closeLimits(tree.limits);
  // Linux kills a pid namespace with its first process. Reading /proc takes too long while thousands fork.
  for (const sandbox of tree.sandboxes) signal(sandbox, "SIGKILL");
  for (let round = 0; ; round += 1) {
    const members = await listMembers(tree);
    if (members.length === 0) return true;
    // Kill before checking the time: one scan alone may take longer on a busy machine.
    for (const { identity } of members) signal(identity, "SIGKILL");
    if (performance.now() > end) return false;
    if (round > 3) await sleep(Math.min(5 * round, mostPauseMs));
  }
}

interface Seen {
  /** Sandboxed environments have no such process. */
  readonly isOutside: () => boolean;
  readonly runs: () => readonly string[];
  readonly isNetwork: () => boolean;
  readonly status: () => ProcessStatus | undefined;
  readonly namespace: () => string | undefined;
  readonly place: () => string | undefined;
}

let pendingReading: Promise<readonly Seen[]> | undefined;

/** Returns a scan that begins after this call. Runs that end at once share it. */
function nextReading(): Promise<readonly Seen[]> {
  pendingReading ??= new Promise((resolve, reject) => {
    setImmediate(() => {
      pendingReading = undefined;
      try {
        resolve(readProcesses());
      } catch (error) {
        reject(error);
      }
    });
  });
  return pendingReading;
}

function readProcesses(): Seen[] {
  const ownNamespace = link(process.pid, "ns/pid");
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => pid !== process.pid).map((pid) => seenProcess(pid, ownNamespace));
}

const named = new RegExp(`\\0(BERTH_RUN|${networkVariable})=([^\\0]*)(?=\\0)`, "g");

/** Variables in a sandbox may name another run, except those of the first process, which is bubblewrap. */
function seenProcess(pid: number, ownNamespace: string | undefined): Seen {
  const namespace = once(() => link(pid, "ns/pid"));
  const isOutside = () => ownNamespace !== undefined && namespace() === ownNamespace;
  const names = once(() => {
    const isOurs = isOutside() || isFirstInNamespace(pid);
    return isOurs ? Array.from(environment(pid).matchAll(named), ([, name, run = ""]) => ({ name, run })) : [];
  });
  const status = once(() => {
    const found = findProcess(pid);
    return found?.isSpent ? undefined : found;
  });
  return {
    isOutside,
    runs: () => names().map(({ run }) => run),
    isNetwork: () => names().some(({ name }) => name === networkVariable),
    status,
    namespace,
    place: once(() => link(pid, "cwd")),
  };
}

function once<Value>(read: () => Value): () => Value {
  let cached: { readonly value: Value } | undefined;
  return () => {
    cached ??= { value: read() };
    return cached.value;
  };
}

/** A leader stands for its group without a process list. */
function signal(member: ProcessIdentity, name: NodeJS.Signals): void {
  if (process.platform === "linux") {
    signalProcess(member, name);
    return;
  }
  if (isAlive(member)) process.kill(-member.pid, name);
}

function belongs(
  seen: Seen,
  tree: ProcessTree,
  namespaces: ReadonlySet<string | undefined>,
  places: readonly string[],
): boolean {
  const namespace = namespaces.size > 0 ? seen.namespace() : undefined;
  if (namespace !== undefined && namespaces.has(namespace)) return true;
  if (seen.isOutside() && seen.runs().includes(tree.name)) return true;
  const status = seen.status();
  if (!status) return false;
  if (tree.leaders.some((leader) => isLedBy(status, leader))) return true;
  // A user who looks around in the directory has a terminal; processes of a run have none.
  if (!seen.isOutside() || status.hasTerminal) return false;
  return places.some((directory) => isWithin(seen.place(), directory));
}

function isWithin(path: string | undefined, directory: string): boolean {
  return path === directory || (path?.startsWith(`${directory}/`) ?? false);
}

function isLedBy(status: ProcessStatus, leader: ProcessIdentity): boolean {
  if (status.boot !== leader.boot) return false;
  if (status.group !== leader.pid && status.session !== leader.pid) return false;
  const now = findProcess(leader.pid);
  return (!now || now.startedAt === leader.startedAt) && Number(status.startedAt) >= Number(leader.startedAt);
}

/** The second number of NSpid (proc(5)) is the pid in the next inner namespace. */
function isFirstInNamespace(pid: number): boolean {
  return /^NSpid:\t\d+\t1$/m.test(findText(`/proc/${pid}/status`) ?? "");
}

/** Owners choose the size of their environment, and each scan reads those of all processes. */
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
