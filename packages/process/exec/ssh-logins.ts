import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDirectory, runOfName } from "../runs/run-directory.ts";

/**
 * Which runs an SSH user name is of: a directory for each name, in it an empty file for each run. Anybody may ask by any
 * name, as often as they like, so nothing of the other runs is read for it.
 */
export function runsOfLogin(runs: string, login: string): string[] {
  return namesIn(getPlace(runs, login)).filter((name) => {
    if (runOfName(name) && isDirectory(join(runs, name))) return true;
    // Of a run whose end was cut short.
    forgetLogin(runs, login, name);
    return false;
  });
}

/** To be called before the run's access says so, so that no run is missed. */
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
    // It has others, or is gone.
  }
}

/** A login may be any text. */
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
