import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { namesIn } from "../files.ts";

/** PATH of every run, regardless of the environment in which the stack started. */
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function compileCache(home: string): string {
  return process.env.NODE_COMPILE_CACHE ?? join(home, "compile-cache");
}

export interface Programs {
  /** PATH of a run: the given entries, then the system's. */
  readonly path: string;
  readonly shown: readonly string[];
}

/**
 * Returns what runs get of a PATH: existing directories except node_modules, the stack's home and user homes. For a
 * `bin`, a sandbox also shows the prefix if that is a virtual environment, a conda or pyenv root, or an installed Node.
 */
export function findPrograms(searchPath: string, home: string, userHomes = knownHomes()): Programs {
  const users = userHomes.map((userHome) => realDirectory(userHome) ?? userHome);
  const homes = { stack: realDirectory(home) ?? home, users };
  const entries = [...new Set(searchPath.split(delimiter))].filter((entry) => isProgramPlace(entry, homes));
  const places = new Set(entries.flatMap((entry) => [entry, ...listPrefixes(entry, homes)]));
  const shown = [...places].filter((place) => !isSystem(place));
  return { path: [...new Set([...entries, ...systemPath.split(delimiter)])].join(delimiter), shown: outermost(shown) };
}

/** Real paths, because symbolic links may lead to both. */
interface Homes {
  readonly stack: string;
  readonly users: readonly string[];
}

export function isOnPath(program: string, path: string): boolean {
  return findOnPath(program, path) !== undefined;
}

export function findOnPath(program: string, path: string): string | undefined {
  const places = path.split(delimiter).filter(isAbsolute);
  return places.map((place) => join(place, program)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Returns all homes. With sudo, the PATH of the stack may contain programs of another user. */
function knownHomes(): string[] {
  return [homedir(), ...homesIn(existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8") : "")];
}

/** Returns the homes of people in /etc/passwd. Other accounts have system directories as homes. */
export function homesIn(passwd: string): string[] {
  const fields = passwd.split("\n").map((line) => line.split(":"));
  const people = fields.filter(([, , id = ""]) => id === "0" || Number(id) >= 1_000);
  return people.flatMap(([, , , , , home = ""]) => (isAbsolute(home) && home !== "/" ? [home] : []));
}

function isProgramPlace(entry: string, { stack, users }: Homes): boolean {
  if (!isAbsolute(entry) || entry.split("/").includes("node_modules")) return false;
  const real = realDirectory(entry);
  if (real === undefined) return false;
  return !isWithin(real, stack) && !isWithin(stack, real) && !users.some((user) => isWithin(user, real));
}

function realDirectory(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? realpathSync(path) : undefined;
  } catch {
    return undefined;
  }
}

function listPrefixes(entry: string, homes: Homes): string[] {
  const places = [entry, realpathSync(entry), ...pythonsIn(entry).map((python) => dirname(realpathSync(python)))];
  const prefixes = places.map(dirname).filter((prefix, n) => isPrefix(prefix, places[n] ?? "", homes));
  return [...new Set(prefixes.map(programsIn))].filter(existsSync);
}

/** Narrows ~/.local to its libraries: other directories there hold keys, tokens and histories. */
function programsIn(prefix: string): string {
  return basename(realpathSync(prefix)) === ".local" ? join(prefix, "lib") : prefix;
}

/** Files and directories that mark a prefix of programs; user homes and ~/.local never have them. */
const signs = ["pyvenv.cfg", "conda-meta", "versions", "include/node"];

function isPrefix(prefix: string, bin: string, { users }: Homes): boolean {
  const real = realDirectory(prefix);
  if (!["bin", "shims", "condabin"].includes(basename(bin)) || !real) return false;
  if (users.some((user) => isWithin(user, real))) return false;
  return signs.some((sign) => existsSync(join(prefix, sign))) || hasPythonHeaders(prefix);
}

function hasPythonHeaders(prefix: string): boolean {
  return namesIn(join(prefix, "include")).some((name) => {
    // pip puts package headers next to it, so the directory alone proves no Python.
    return /^python3\.\d+$/.test(name) && existsSync(join(prefix, "include", name, "Python.h"));
  });
}

function pythonsIn(entry: string): string[] {
  return ["python", "python3"].map((name) => join(entry, name)).filter((path) => existsSync(path));
}

const systemPlaces = ["/bin", "/sbin", "/lib", "/usr", "/opt", "/nix/store"];

function isSystem(path: string): boolean {
  return systemPlaces.some((place) => isWithin(path, place));
}

function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(place === "/" ? place : `${place}/`);
}

function outermost(places: readonly string[]): string[] {
  return places.filter((place) => !places.some((otherPlace) => otherPlace !== place && isWithin(place, otherPlace)));
}
