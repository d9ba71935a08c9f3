import { join } from "node:path";
import { readStatus } from "./observation.ts";
import { readRun } from "./records.ts";
import { listRunNames } from "./run-directory.ts";

/** Returns the runs that mount this volume and may have living processes, or are about to start. */
export function runsMounting(home: string, volume: string): string[] {
  const runs = join(home, "runs");
  return listRunNames(runs).filter((name) => {
    const directory = join(runs, name);
    if (!readRun(directory)?.volumes.includes(volume)) return false;
    const { end, isEndUnwritten } = readStatus(directory);
    return !end || isEndUnwritten;
  });
}
