import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { CampaignResult } from "./campaign.ts";

const root = join(import.meta.dirname, "../..");
const FILE = "tests/simulator/slices.jsonl";
/** What a slice begins in this time it also ends, within 40 minutes in all. */
export const SLICE_SECONDS = 38 * 60;
const MOST_SEEDS = 20;

/** The commit that a slice is about. Throws where the tree holds anything else than that commit. */
export function cleanCommit(directory = root): string {
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "safe.directory=*", ...args], { cwd: directory, encoding: "utf8" }).trimEnd();
  const changed = git("status", "--porcelain")
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith(FILE));
  if (changed.length > 0) throw new Error(`A slice is of a commit, and the tree has changes: ${changed[0]?.trim()}`);
  return git("rev-parse", "HEAD");
}

/** Adds what a slice found to the summary that is committed. */
export function appendSlice(commit: string, from: number, { schedules, cpuSeconds, failed }: CampaignResult): void {
  const seeds = failed.slice(0, MOST_SEEDS).map(({ seed }) => seed);
  const slice = { commit, from, schedules, cpuSeconds: Math.round(cpuSeconds), violations: failed.length, seeds };
  appendFileSync(join(root, FILE), `${JSON.stringify(slice)}\n`);
}
