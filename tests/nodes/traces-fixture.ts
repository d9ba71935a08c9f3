import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { listCgroups } from "./cgroups.ts";
import { listLinks } from "./network.ts";

/** Finds everything of a run that this machine can still hold. `home` is in its mounts and commands. */
export async function findTraces(run: string, home: string) {
  const commands = await Promise.all((await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(readCommand));
  return {
    links: (await listLinks()).filter(({ owner }) => owner === run),
    cgroups: await listCgroups(run),
    mounts: readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(home)),
    processes: commands.filter((command) => command.includes(home)),
  };
}

/** Traces of a run that left nothing. */
export const nothing = { links: [], cgroups: [], mounts: [], processes: [] };

async function readCommand(pid: string): Promise<string> {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has just ended.
    return "";
  }
}
