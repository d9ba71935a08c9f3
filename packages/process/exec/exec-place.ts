import { realpathSync } from "node:fs";
import type { Inside } from "../runs/inside.ts";
import { workspace } from "../sandbox/sandbox.ts";

/** PATH_MAX of Linux (limits.h). */
const longestPath = 4096;

/** Maps a path inside to the real one. Without a sandbox, /workspace is elsewhere. */
export function realDirectory(inside: Inside, directory: string): string {
  return moved(directory, listPlaces(inside));
}

/** Maps a path that a command wrote to its name inside; null if it is not a path. */
export function seenDirectory(inside: Inside, written: string): string | null {
  const path = written.replace(/\n$/, "");
  if (!path.startsWith("/") || path.includes("\0") || path.length > longestPath) return null;
  const back = listPlaces(inside).flatMap(({ from, to }) => [
    { from: to, to: from },
    { from: realPath(to), to: from },
  ]);
  return moved(path, back);
}

interface MappedPath {
  readonly from: string;
  readonly to: string;
}

function listPlaces({ isolation, mounts, env }: Inside): MappedPath[] {
  if (isolation !== "none") return [];
  const volumes = mounts.map(({ path, seen }) => ({ from: path, to: seen }));
  const isMounted = volumes.some(({ from }) => from === workspace);
  return env.WORKSPACE === undefined || isMounted ? volumes : [...volumes, { from: workspace, to: env.WORKSPACE }];
}

/** The longest prefix wins, because volumes may be nested. */
function moved(path: string, places: readonly MappedPath[]): string {
  const fitting = places.filter(({ from }) => path === from || path.startsWith(`${from}/`));
  const [longest] = fitting.toSorted((left, right) => right.from.length - left.from.length);
  return longest ? `${longest.to}${path.slice(longest.from.length)}` : path;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
