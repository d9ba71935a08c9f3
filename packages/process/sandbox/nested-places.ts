import { lstatSync, renameSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "../runs/random-name.ts";
import type { Bind } from "./sandbox.ts";

/**
 * Renames files and links that block a nested mount point of a volume. bubblewrap follows links there with its own
 * rights: a run's link could make it create directories outside, or mount over /usr. Call it while no run has the
 * volumes.
 */
export function clearPlaces(binds: readonly Bind[], places: readonly string[]): void {
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
