import { rmSync } from "node:fs";
import { readState, statePath, writePrivate } from "../state/state.ts";

/** What `berth run` has to know of a run to come back to it. */
export interface StoredRun {
  readonly id: string;
  readonly command: string;
  /** The directory here. */
  readonly local: string;
  /** The name of the directory in the job. */
  readonly name: string;
  readonly pull: readonly string[];
  readonly keep: boolean;
}

export function storeRun(jobId: string, run: StoredRun): void {
  writePrivate(statePath("runs", jobId), JSON.stringify(run));
}

/** Returns undefined if this machine started no run in the job. */
export function readRun(jobId: string): StoredRun | undefined {
  return readState(statePath("runs", jobId)) as StoredRun | undefined;
}

export function forgetRun(jobId: string): void {
  rmSync(statePath("runs", jobId), { force: true });
}
