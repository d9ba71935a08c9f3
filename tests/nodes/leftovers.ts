import { findProcess } from "#process/supervisor/process-identity.ts";
import { listCgroups, removeCgroup } from "./cgroups.ts";
import { listBridges, removeBridge } from "./network.ts";

const PREFIX = "berth-nodes-";
let counter = 0;

/** Names a run after this process, so that a later run can tell whether it still lives. */
export function newRunName(): string {
  counter += 1;
  return `${PREFIX}${process.pid}-${findProcess(process.pid)?.startedAt}-${counter}`;
}

/**
 * Removes the bridges and cgroups of runs that were killed, and returns the names of those runs. The kernel ends their
 * processes, mounts and network namespaces by itself, since they belong to the namespaces of each node.
 */
export async function removeLeftovers(): Promise<string[]> {
  const bridges = (await listBridges()).filter(({ owner }) => isLeftover(owner));
  const cgroups = (await listCgroups(PREFIX)).filter(isLeftover);
  for (const { name } of bridges) await removeBridge(name);
  for (const name of cgroups) await removeCgroup(name);
  return [...new Set([...bridges.map(({ owner }) => owner), ...cgroups])];
}

function isLeftover(run: string): boolean {
  const [, pid, startedAt] = /^berth-nodes-(\d+)-(\d+)-\d+$/.exec(run) ?? [];
  return pid !== undefined && findProcess(Number(pid))?.startedAt !== startedAt;
}
