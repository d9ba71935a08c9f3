import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDirectory, runOfName } from "../runs/run-directory.ts";

/** Strangers can try any login, so a lookup reads only its own directory, with one file per run. */
export function runsOfLogin(runs: string, login: string): string[] {
  return namesIn(getPlace(runs, login)).filter((name) => {
    if (runOfName(name) && isDirectory(join(runs, name))) return true;
    // Left by a run whose removal was interrupted.
    forgetLogin(runs, login, name);
    return false;
  });
}

/** Call this before writing the run's access, so that no run is missed. */
export function noteLogin(runs: string, login: string, name: string): void {
  const place = getPlace(runs, login);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  writeFileSync(join(place, name), "", { mode: 0o600 });
}

export function forgetLogin(runs: string, login: string, name: string): void {
  const place = getPlace(runs, login);
  rmSync(join(place, name), { force: true });
  try {
    rmdirSync(place);
  } catch {
    // Other runs have the same login, or the directory is gone.
  }
}

/** A login may contain any character. */
function getPlace(runs: string, login: string): string {
  return join(runs, ".logins", createHash("sha256").update(login).digest("hex"));
}

function namesIn(place: string): string[] {
  try {
    return readdirSync(place);
  } catch {
    return [];
  }
}
