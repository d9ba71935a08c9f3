import { lstatSync, mkdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { findHomeMount } from "#core/ports/home-mount.ts";
import { randomName } from "../files.ts";
import { type Bind, workspace } from "../sandbox/sandbox.ts";
import { giveAllToRun, giveToRun } from "../sandbox/sandbox-user.ts";
import { volumeData } from "../volumes/volume-directory.ts";
import type { LaunchPlan } from "./plan.ts";
import { workDirectory } from "./run-directory.ts";

interface Workspace {
  /** First volume, or a directory that ends with the run. */
  readonly path: string;
  readonly start: string;
  /** On a volume if the machine has one, so that it outlives the run. */
  readonly home: string;
  readonly mounts: readonly { readonly path: string; readonly seen: string }[];
  readonly binds: readonly Bind[];
}

/** Creates `workspace`: the first volume in the first machine, else a directory that ends with the run. */
export async function openWorkspace(plan: LaunchPlan, directory: string, rank: number): Promise<Workspace> {
  const work = workDirectory(directory, rank);
  const link = join(work, "workspace");
  const isBare = plan.isolation === "none";
  const binds = rank > 0 ? [] : plan.mounts.map(({ volume, path }) => ({ from: volumeData(plan.home, volume), path }));
  const [first] = binds;
  if (first) symlinkSync(isBare ? first.from : first.path, link);
  else mkdirSync(link, { mode: 0o700 });
  for (const path of first ? [work] : [work, link]) giveToRun(path, plan.isolation);
  for (const { from } of binds) await giveAllToRun(from, plan.isolation);
  if (!isBare) clearPlaces(binds, [...binds.map(({ path }) => path), plan.home]);
  const path = isBare ? link : (first?.path ?? workspace);
  const mounts = binds.map((bind, n) => ({ path: bind.path, seen: seenAt(bind, isBare, n === 0 ? link : bind.from) }));
  const ending = plan.startsIn === "workspace" ? path : work;
  const home = findHomeMount(mounts)?.seen ?? ending;
  return {
    path,
    start: plan.startsIn === "workspace" ? path : home,
    home,
    mounts,
    binds: first ? binds : [{ from: link, path: workspace }],
  };
}

function seenAt({ path }: Bind, isBare: boolean, place: string): string {
  return isBare ? place : path;
}

/**
 * Renames files and links that block a nested mount point of a volume. bubblewrap follows links there with its own
 * rights: a run's link could make it create directories outside, or mount over /usr. Call it while no run has the
 * volumes.
 */
function clearPlaces(binds: readonly Bind[], places: readonly string[]): void {
  for (const { from, path } of binds) {
    const inside = places.filter((place) => place.startsWith(`${path}/`));
    for (const place of inside) clearWay(from, place.slice(path.length + 1).split("/"));
  }
}

function clearWay(directory: string, [name, ...rest]: readonly string[]): void {
  if (name === undefined) return;
  const path = join(directory, name);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) clearWay(path, rest);
  else if (found) renameSync(path, `${path}.moved-${randomName()}`);
}
