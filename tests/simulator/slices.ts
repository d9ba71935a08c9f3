import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { CampaignResult } from "./campaign.ts";

const root = join(import.meta.dirname, "../..");
const FILE = "tests/simulator/slices.jsonl";
/** Time to start schedules of a slice, which then ends within 40 minutes. */
export const SLICE_SECONDS = 38 * 60;
const MOST_SEEDS = 20;

/** Returns the commit of the tree. Throws if the tree has uncommitted changes. */
export function cleanCommit(directory = root): string {
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "safe.directory=*", ...args], { cwd: directory, encoding: "utf8" }).trimEnd();
  const changed = git("status", "--porcelain")
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith(FILE));
  if (changed.length > 0) throw new Error(`A slice needs a commit, and the tree has changes: ${changed[0]?.trim()}`);
  return git("rev-parse", "HEAD");
}

export function appendSlice(commit: string, from: number, { schedules, cpuSeconds, failed }: CampaignResult): void {
  const seeds = failed.slice(0, MOST_SEEDS).map(({ seed }) => seed);
  const slice = { commit, from, schedules, cpuSeconds: Math.round(cpuSeconds), violations: failed.length, seeds };
  appendFileSync(join(root, FILE), `${JSON.stringify(slice)}\n`);
}
