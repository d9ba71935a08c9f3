import { lstatSync, renameSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "../runs/random-name.ts";
import type { Bind } from "./sandbox.ts";

/**
 * Moves aside whatever lies within a volume where something else is to be mounted, and is no directory. bubblewrap
 * follows links there, with the rights of whoever starts it and with the machine's own files in reach: one that an
 * earlier run left would have it make directories outside, or put a volume in the place of /usr. To be called while
 * nobody has the volumes.
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
