import { readdir } from "node:fs/promises";
import { findProcess } from "#process/supervisor/process-identity.ts";
import { listCgroups, removeCgroup } from "./cgroups.ts";
import { MACHINE_PIDS, readNamespace } from "./namespaces.ts";
import { listLinks, removeLink } from "./network.ts";

const PREFIX = "berth-nodes-";
let counter = 0;

/** Names a run after this process and its PID namespace, so that a later run can tell whether it still lives. */
export async function newRunName(): Promise<string> {
  counter += 1;
  const { startedAt } = findProcess(process.pid) ?? {};
  return [`${PREFIX}${await readNamespace("self", "pid")}`, process.pid, startedAt, counter].join("-");
}

/**
 * Removes the interfaces and cgroups of runs that were killed, and returns the names of those runs. The kernel ends
 * their processes, mounts and network namespaces by itself, since they belong to the namespaces of each node.
 */
export async function removeLeftovers(): Promise<string[]> {
  const links = await listLinks();
  const cgroups = await listCgroups(PREFIX);
  const runs = new Set([...links.map(({ owner }) => owner), ...cgroups]);
  const ended: string[] = [];
  for (const run of runs) if (await isLeftover(run)) ended.push(run);
  for (const { name, owner } of links) if (ended.includes(owner)) await removeLink(name);
  for (const name of cgroups) if (ended.includes(name)) await removeCgroup(name);
  return ended;
}

/** Reports whether the process of a run has ended. Only the machine itself can tell that of processes of containers. */
async function isLeftover(run: string): Promise<boolean> {
  const [, namespace = "", pid, startedAt] = /^berth-nodes-(\d+)-(\d+)-(\d+)-\d+$/.exec(run) ?? [];
  if (pid === undefined) return false;
  const own = await readNamespace("self", "pid");
  if (namespace === own) return findProcess(Number(pid))?.startedAt !== startedAt;
  return own === MACHINE_PIDS && !(await listPidNamespaces()).includes(namespace);
}

async function listPidNamespaces(): Promise<(string | undefined)[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  return Promise.all(pids.map((pid) => readNamespace(pid, "pid")));
}
