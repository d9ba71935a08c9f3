import { join } from "node:path";
import { readStatus } from "./observation.ts";
import { readRun } from "./records.ts";
import { listRunNames } from "./run-directory.ts";

/**
 * The names of the runs that have this volume and of which something may still live, one that is only about to be
 * started included. A run whose end is written has nothing left that lives.
 */
export function runsMounting(home: string, volume: string): string[] {
  const runs = join(home, "runs");
  return listRunNames(runs).filter((name) => {
    const directory = join(runs, name);
    if (!readRun(directory)?.volumes.includes(volume)) return false;
    const { end, isEndUnwritten } = readStatus(directory);
    return !end || isEndUnwritten;
  });
}
