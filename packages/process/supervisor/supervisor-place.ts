import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { namesIn } from "../files.ts";
import { parseIdentity, readObject } from "../runs/records.ts";
import { writeWhole } from "../runs/run-directory.ts";
import { lockFile } from "./lock.ts";
import { isAlive, type ProcessIdentity, signalProcess } from "./process-identity.ts";

/** Each code version has its own directory and supervisor, because it may not understand another version's plans. */
export function openSupervisorPlace(home: string): string {
  const place = join(home, folder, codeVersion());
  mkdirSync(place, { recursive: true, mode: 0o700 });
  writeFileSync(join(place, lockFile), "", { flag: "a", mode: 0o600 });
  return place;
}

/** Call this while holding the lock. */
export function writeSupervisor(place: string, { pid, startedAt, boot }: ProcessIdentity): void {
  writeWhole(place, record, JSON.stringify({ pid, startedAt, boot }));
}

/** Ends all supervisors of a home and their runs: by SIGTERM, then by SIGKILL. */
export async function endSupervisors(home: string, withinMs: number): Promise<void> {
  const living = livingSupervisors(home);
  for (const process of living) signalProcess(process, "SIGTERM");
  const end = performance.now() + withinMs;
  while (performance.now() < end && living.some(isAlive)) await sleep(5);
  for (const process of living) signalProcess(process, "SIGKILL");
  while (performance.now() < end + withinMs && living.some(isAlive)) await sleep(5);
}

export function livingSupervisors(home: string): ProcessIdentity[] {
  return findSupervisors(home).flatMap(({ process }) => (process && isAlive(process) ? [process] : []));
}

export function killSupervisor(place: string): void {
  const process = parseIdentity(readObject(place, record));
  if (process) signalProcess(process, "SIGKILL");
}

export const ping = { ask: "ping" } as const;

/** Deletes the directories of dead supervisors of other code versions. */
export function forgetSupervisors(home: string): void {
  for (const { place, process } of findSupervisors(home)) {
    const isOurs = place === join(home, folder, codeVersion());
    if (!isOurs && !(process && isAlive(process))) rmSync(place, { recursive: true, force: true });
  }
}

const folder = "supervisors";
const record = "process.json";

function findSupervisors(home: string): { readonly place: string; readonly process: ProcessIdentity | undefined }[] {
  return namesIn(join(home, folder)).map((name) => {
    const place = join(home, folder, name);
    return { place, process: parseIdentity(readObject(place, record)) };
  });
}

let version: string | undefined;

/** Hashes all code in this directory and Node's version, so no number needs manual updates. */
function codeVersion(): string {
  version ??= readVersion(join(import.meta.dirname, ".."));
  return version;
}

function readVersion(directory: string): string {
  const hash = createHash("sha256").update(process.version);
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
  );
  for (const name of files.toSorted()) hash.update(name).update(readFileSync(join(directory, name)));
  return hash.digest("hex").slice(0, 16);
}
