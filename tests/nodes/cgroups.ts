import { access, constants, glob, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isThere } from "../cluster/binary.ts";
import { MACHINE_CGROUPS, MACHINE_PIDS, readNamespace } from "./namespaces.ts";

const root = "/sys/fs/cgroup";

/** Controllers that a kubelet requires below its root if the machine has them (its cgroup_v2_manager_linux.go). */
const kubeletControllers = ["cpu", "cpuset", "hugetlb", "memory", "pids"] as const;

/** Facts about the cgroups of this machine: those of version 2 if it is mounted alone, else of version 1. */
export interface CgroupFacts {
  readonly controllers: readonly string[];
  readonly isReadOnly: boolean;
  /** A container sees the cgroups of version 2 of its host. It would leave its own there. */
  readonly isOfHost: boolean;
  /**
   * A container's root cgroup has processes, so it cannot delegate controllers (cgroups(7), "no internal processes").
   */
  readonly holdsProcesses: boolean;
}

export async function readCgroupFacts(): Promise<CgroupFacts> {
  const hierarchies = await listHierarchies(root);
  const canWrite = await Promise.all(
    hierarchies.map((folder) =>
      access(folder, constants.W_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  const isReadOnly = canWrite.includes(false);
  const unified = await readWords("cgroup.controllers");
  if (unified === undefined) {
    const controllers = hierarchies.map((folder) => folder.slice(root.length + 1));
    return { controllers, isReadOnly, isOfHost: false, holdsProcesses: false };
  }
  const isContainer = (await readNamespace("self", "pid")) !== MACHINE_PIDS;
  const handedOn = (await readWords("cgroup.subtree_control")) ?? [];
  const handsOnAll = kubeletControllers.every((name) => !unified.includes(name) || handedOn.includes(name));
  return {
    controllers: unified,
    isReadOnly,
    isOfHost: isContainer && (await readNamespace("self", "cgroup")) === MACHINE_CGROUPS,
    // The root cgroup of the machine itself has no type, and may hold processes.
    holdsProcesses:
      !handsOnAll && (await isThere(join(root, "cgroup.type"))) && (await readWords("cgroup.procs"))?.length !== 0,
  };
}

/** Creates a cgroup in each hierarchy. `name` is a path of two parts: the run, then the node. */
export async function createCgroup(name: string, folder = root): Promise<void> {
  const unified = await readWords("cgroup.controllers", folder);
  const handOn = kubeletControllers.filter((controller) => unified?.includes(controller));
  for (const hierarchy of await listHierarchies(folder)) {
    for (const path of ancestors(name)) {
      const parent = join(hierarchy, path, "..");
      if (unified) await writeFile(join(parent, "cgroup.subtree_control"), handOn.map((name) => `+${name}`).join(" "));
      await mkdir(join(hierarchy, path), { recursive: true });
      // Without both, a cpuset of v1 accepts no process (cpuset(7)).
      if (hierarchy === join(folder, "cpuset")) await inherit(join(hierarchy, path), ["cpuset.cpus", "cpuset.mems"]);
    }
  }
}

/** Removes a cgroup and those below it, once their last processes are gone. */
export async function removeCgroup(name: string): Promise<void> {
  for (const hierarchy of await listHierarchies(root)) await removeTree(join(hierarchy, name));
}

/** Names of the top cgroups that begin so, in any hierarchy. */
export async function listCgroups(prefix: string): Promise<string[]> {
  const listings = await Promise.all((await listHierarchies(root)).map((folder) => readdir(folder)));
  return [...new Set(listings.flat().filter((name) => name.startsWith(prefix)))];
}

/** Mount points of cgroups: one for each controller of v1, or that of v2. */
async function listHierarchies(folder: string): Promise<string[]> {
  if (await isThere(join(folder, "cgroup.controllers"))) return [folder];
  const found: string[] = [];
  for await (const file of glob(`${folder}/*/cgroup.procs`)) found.push(join(file, ".."));
  return found.toSorted();
}

async function readWords(file: string, folder = root): Promise<string[] | undefined> {
  const text = await readFile(join(folder, file), "utf8").catch(() => undefined);
  return text?.split(/\s+/).filter((word) => word !== "");
}

function ancestors(name: string): string[] {
  const parts = name.split("/");
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

async function inherit(folder: string, files: readonly string[]): Promise<void> {
  for (const file of files) await writeFile(join(folder, file), await readFile(join(folder, "..", file), "utf8"));
}

async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  // The kernel reports a cgroup as busy until its last killed process is gone.
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || attempt === 200) throw error;
    }
    await sleep(50);
  }
}
