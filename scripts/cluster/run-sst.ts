import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeError } from "./write-error.ts";

const sst = "tools/sst/node_modules/.bin/sst";

/** Runs SST in this terminal and returns its exit code. SST gets Ctrl-C too, and takes a while to stop, so this waits. */
export function runSst(words: readonly string[]): number {
  if (!existsSync(sst)) {
    writeError("SST is not installed: npm ci --prefix tools/sst");
    return 1;
  }
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
  return run(sst, words);
}

/** Runs a program in this terminal and returns its exit code. */
export function run(command: string, words: readonly string[]): number {
  const { status, error } = spawnSync(command, words, { stdio: "inherit" });
  if (error) throw error;
  return status ?? 1;
}
