import { accessSync, constants, existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, dirname, isAbsolute, join } from "node:path";
import { systemPath } from "./environment.ts";

/** Where runs look for programs, and what a sandbox shows so that they find them. */
export interface Programs {
  /** As PATH takes it: the given entries, then the system's. */
  readonly path: string;
  /** Directories besides the system's own, each with what its programs need. */
  readonly shown: readonly string[];
}

/**
 * What of a PATH runs get: every directory that is there, but none of a Node project's own, none within the home of the
 * stack, and never a whole home of a user. A directory `bin` brings the prefix that it belongs to where that is a
 * place of programs alone: a virtual environment, a conda or pyenv root, an installed Node.
 */
export function findPrograms(searchPath: string, home: string, userHomes = knownHomes()): Programs {
  const users = userHomes.map((userHome) => realDirectory(userHome) ?? userHome);
  const homes = { stack: realDirectory(home) ?? home, users };
  const entries = [...new Set(searchPath.split(delimiter))].filter((entry) => isProgramPlace(entry, homes));
  const places = new Set(entries.flatMap((entry) => [entry, ...listPrefixes(entry, homes)]));
  const shown = [...places].filter((place) => !isSystem(place));
  return { path: [...new Set([...entries, ...systemPath.split(delimiter)])].join(delimiter), shown: outermost(shown) };
}

/** Where they really are, as links may lead to both. */
interface Homes {
  readonly stack: string;
  readonly users: readonly string[];
}

/** Whether a PATH leads to such a program. */
export function isOnPath(program: string, path: string): boolean {
  return findOnPath(program, path) !== undefined;
}

/** Returns the first program of this name on a PATH. */
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

/** Of whoever starts the stack, and of the others: with sudo and the like their programs may be in its PATH. */
function knownHomes(): string[] {
  return [homedir(), ...homesIn(existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8") : "")];
}

/** The homes of people in the text of /etc/passwd, where other accounts have directories of the system. */
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

/** Undefined for what is not there, no directory, or not for this user to see. */
function realDirectory(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? realpathSync(path) : undefined;
  } catch {
    return undefined;
  }
}

/** The prefix of a `bin`, and that of the Python behind a virtual environment. */
function listPrefixes(entry: string, homes: Homes): string[] {
  const places = [entry, realpathSync(entry), ...pythonsIn(entry).map((python) => dirname(realpathSync(python)))];
  const prefixes = places.map(dirname).filter((prefix, n) => isPrefix(prefix, places[n] ?? "", homes));
  return [...new Set(prefixes.map(programsIn))].filter(existsSync);
}

/** Beside programs ~/.local keeps what they know of their user: keys, tokens, histories. */
function programsIn(prefix: string): string {
  return basename(realpathSync(prefix)) === ".local" ? join(prefix, "lib") : prefix;
}

/** Files and directories that only a prefix of programs has, and no user's home or ~/.local. */
const signs = ["pyvenv.cfg", "conda-meta", "versions", "include/node"];

function isPrefix(prefix: string, bin: string, { users }: Homes): boolean {
  const real = realDirectory(prefix);
  if (!["bin", "shims", "condabin"].includes(basename(bin)) || !real) return false;
  if (users.some((user) => isWithin(user, real))) return false;
  return signs.some((sign) => existsSync(join(prefix, sign))) || hasPythonHeaders(prefix);
}

function hasPythonHeaders(prefix: string): boolean {
  return namesIn(join(prefix, "include")).some((name) => {
    // pip puts headers of packages beside it, for a Python that is elsewhere.
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

/** A directory within one that is shown needs no place of its own. */
function outermost(places: readonly string[]): string[] {
  return places.filter((place) => !places.some((otherPlace) => otherPlace !== place && isWithin(place, otherPlace)));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
