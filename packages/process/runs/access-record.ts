import { createHash } from "node:crypto";
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Access, JupyterStatus } from "#core/ports/compute.ts";
import { namesIn } from "../files.ts";
import { readObject } from "./records.ts";
import { isDirectory, runOfName, writeWhole } from "./run-directory.ts";

const accessFile = "access.json";
const jupyterFile = "jupyter.json";

/** Reads the newest access that the run received. It includes Jupyter's token, so only the owner can read the file. */
export function readAccess(directory: string): Access | undefined {
  const { revision, login, keys, jupyter } = readObject(directory, accessFile) ?? {};
  if (typeof login !== "string" || !Array.isArray(keys)) return undefined;
  const token = (jupyter as { readonly token?: unknown } | null | undefined)?.token;
  return {
    revision: typeof revision === "number" ? revision : 0,
    login,
    keys: keys.filter((key) => typeof key === "string"),
    jupyter: typeof token === "string" ? { token } : null,
  };
}

/** Stores new access and registers its login. Returns false if it is unchanged or older, or if the run is gone. */
export function writeAccess(directory: string, access: Access): boolean {
  const knownAccess = readAccess(directory);
  if ((knownAccess?.revision ?? 0) > access.revision || JSON.stringify(knownAccess) === JSON.stringify(access))
    return false;
  noteLogin(dirname(directory), access.login, basename(directory));
  return writeWhole(directory, accessFile, JSON.stringify(access));
}

/** Registers the run's SSH user name. Runs that an older release started are not registered yet. */
export function noteAccess(directory: string): void {
  const access = readAccess(directory);
  if (access) noteLogin(dirname(directory), access.login, basename(directory));
}

/** Removes the SSH user name. Call this before the run's directory is deleted. */
export function forgetAccess(directory: string): void {
  const access = readAccess(directory);
  if (access) forgetLogin(dirname(directory), access.login, basename(directory));
}

export function writeJupyter(directory: string, token: string, status: JupyterStatus): void {
  writeWhole(directory, jupyterFile, JSON.stringify({ token: getHash(token), ...status }));
}

export function forgetJupyter(directory: string): void {
  rmSync(join(directory, jupyterFile), { force: true });
}

/** Returns the state of Jupyter. A record of another token counts as `starting`. */
export function seeJupyter(directory: string): JupyterStatus | null {
  const token = readAccess(directory)?.jupyter?.token;
  const record = readObject(directory, jupyterFile);
  if (token === undefined && !record) return null;
  const { state, origin, reason } = record ?? {};
  const isIts = token !== undefined && record?.token === getHash(token);
  if (!isIts || (state !== "on" && state !== "failed")) return { state: "starting", origin: null, reason: null };
  return {
    state,
    origin: typeof origin === "string" ? origin : null,
    reason: typeof reason === "string" ? reason : null,
  };
}

function getHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

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
function noteLogin(runs: string, login: string, name: string): void {
  const place = getPlace(runs, login);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  writeFileSync(join(place, name), "", { mode: 0o600 });
}

function forgetLogin(runs: string, login: string, name: string): void {
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
