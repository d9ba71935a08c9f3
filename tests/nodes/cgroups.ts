import { glob, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isThere } from "../cluster/binary.ts";

const root = "/sys/fs/cgroup";

/** Names of the usable controllers, of cgroup v2 if it is mounted alone, else of v1. */
export async function listControllers(): Promise<string[]> {
  const unified = await readFile(join(root, "cgroup.controllers"), "utf8").catch(() => undefined);
  if (unified !== undefined) return unified.trim().split(" ");
  return (await listHierarchies()).map((folder) => folder.slice(root.length + 1));
}

/** Creates a cgroup in each hierarchy. `name` is a path of two parts: the run, then the node. */
export async function createCgroup(name: string): Promise<void> {
  for (const hierarchy of await listHierarchies()) {
    const isUnified = hierarchy === root;
    for (const path of ancestors(name)) {
      const parent = join(hierarchy, path, "..");
      if (isUnified) await delegate(parent);
      await mkdir(join(hierarchy, path), { recursive: true });
      // Without both, a cpuset of v1 accepts no process (cpuset(7)).
      if (hierarchy === join(root, "cpuset")) await inherit(join(hierarchy, path), ["cpuset.cpus", "cpuset.mems"]);
    }
  }
}

/** Removes a cgroup and those below it, once their last processes are gone. */
export async function removeCgroup(name: string): Promise<void> {
  for (const hierarchy of await listHierarchies()) await removeTree(join(hierarchy, name));
}

/** Names of the top cgroups that begin so, in any hierarchy. */
export async function listCgroups(prefix: string): Promise<string[]> {
  const listings = await Promise.all((await listHierarchies()).map((folder) => readdir(folder)));
  return [...new Set(listings.flat().filter((name) => name.startsWith(prefix)))];
}

/** Mount points below /sys/fs/cgroup: one for each controller of v1, or that of v2. */
async function listHierarchies(): Promise<string[]> {
  const isUnified = await isThere(join(root, "cgroup.controllers"));
  if (isUnified) return [root];
  const found: string[] = [];
  for await (const file of glob(`${root}/*/cgroup.procs`)) found.push(join(file, ".."));
  return found.toSorted();
}

function ancestors(name: string): string[] {
  const parts = name.split("/");
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

async function delegate(folder: string): Promise<void> {
  const available = (await readFile(join(folder, "cgroup.controllers"), "utf8")).trim().split(" ");
  await writeFile(join(folder, "cgroup.subtree_control"), available.map((name) => `+${name}`).join(" "));
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
