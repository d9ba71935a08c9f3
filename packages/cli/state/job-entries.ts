import { rmSync } from "node:fs";
import { CliError, doctorHint, exitCodes } from "../failure.ts";
import { printable } from "../terminal/text.ts";
import { readState, removeOldState, statePath, writePrivate } from "./state.ts";

/** Directories that hold a file for each job. */
const directories = ["let-in", "known_hosts"] as const;

/** Longer than a job may live without being written again. A job without its entry gets the key once more. */
const oldestMs = 30 * 24 * 3_600_000;

interface JobEntry {
  readonly job_id: string;
}

/** Records that a job admits a key, so it is not sent again with every session. */
export function rememberKey({ job_id }: JobEntry, publicKey: string): void {
  write("let-in", job_id, JSON.stringify(publicKey));
}

/** Reports whether a job admits a key. */
export function isLetIn({ job_id }: JobEntry, publicKey: string): boolean {
  return readState(statePath("let-in", job_id)) === publicKey;
}

/** Stores the host keys that the API names. Returns the path of the known_hosts file of the job. */
export function pinHostKeys({ job_id }: JobEntry, address: string, hostKeys: readonly string[]): string {
  const wrong = hostKeys.find((hostKey) => !/^[\w@.-]+ [A-Za-z0-9+/]+=*$/.test(hostKey));
  if (wrong !== undefined) {
    throw new CliError(`The server sent an invalid host key: ${printable(wrong)}`, exitCodes.failed, doctorHint);
  }
  return write("known_hosts", job_id, hostKeys.map((hostKey) => `${address} ${hostKey}\n`).join(""));
}

/** Removes the stored files of a job that has ended. */
export function forgetJob({ job_id }: JobEntry): void {
  for (const directory of directories) rmSync(statePath(directory, job_id), { force: true });
}

function write(directory: (typeof directories)[number], jobId: string, text: string): string {
  const path = statePath(directory, jobId);
  writePrivate(path, text);
  removeOldState(directory, oldestMs);
  return path;
}
