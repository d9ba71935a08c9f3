import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { LaunchPlan } from "./plan.ts";
import { workDirectory } from "./run-directory.ts";
import { workspace } from "./sandbox.ts";
import { volumeData } from "./volume-directory.ts";

/** A machine's workspace as a process without a sandbox sees it, and what it is in truth. */
export interface Workspace {
  /** In the work directory. */
  readonly link: string;
  readonly storage: string;
}

/**
 * Makes `workspace` in the work directory of a machine: the volume in the first machine of a run that has one, else a
 * directory that ends with the run.
 */
export function openWorkspace({ home, isolation, volume }: LaunchPlan, directory: string, rank: number): Workspace {
  const link = join(workDirectory(directory, rank), "workspace");
  if (volume === null || rank > 0) {
    mkdirSync(link, { mode: 0o700 });
    return { link, storage: link };
  }
  const storage = volumeData(home, volume);
  symlinkSync(isolation === "bubblewrap" ? workspace : storage, link);
  return { link, storage };
}
