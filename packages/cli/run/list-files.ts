import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ignore, { type Ignore } from "ignore";

export interface LocalFiles {
  /** Paths of files and symbolic links, relative to the directory. */
  readonly paths: readonly string[];
  readonly bytes: number;
}

/**
 * Lists the files of a directory that a run needs: those that git tracks or would track, without those of
 * `.berthignore`. Symbolic links are listed as links, and never followed.
 */
export function listFiles(directory: string): LocalFiles {
  const ignoreRules = ignore().add(readText(join(directory, ".berthignore")));
  const found = (gitPaths(directory) ?? walk(directory)).filter((path) => !ignoreRules.ignores(path));
  const files = found.flatMap((path) => {
    const stat = lstatSync(join(directory, path), { throwIfNoEntry: false });
    return stat?.isFile() || stat?.isSymbolicLink() ? [{ path, bytes: stat.size }] : [];
  });
  return { paths: files.map(({ path }) => path), bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Returns undefined where there is no git or no work tree. A repository inside is listed by its own rules. */
function gitPaths(directory: string): string[] | undefined {
  // fsmonitor would run a program that the directory names.
  const words = ["-c", "core.fsmonitor=false", "-C", directory, "ls-files", "-coz", "--exclude-standard"];
  const { status, stdout } = spawnSync("git", words, { encoding: "utf8", maxBuffer: 2 ** 30 });
  if (status !== 0) return undefined;
  return stdout
    .split("\0")
    .filter((path) => path !== "")
    .map((path) => path.replace(/\/$/, ""))
    .flatMap((path) => (isDirectory(join(directory, path)) ? nestedPaths(directory, path) : [path]));
}

function nestedPaths(directory: string, path: string): string[] {
  const inside = lstatSync(join(directory, path, ".git"), { throwIfNoEntry: false });
  const paths = (inside && gitPaths(join(directory, path))) ?? walk(join(directory, path));
  return paths.map((name) => `${path}/${name}`);
}

/** Walks a directory by the rules of its `.gitignore` files. */
function walk(directory: string, prefix = "", outer: readonly Rules[] = []): string[] {
  const here = join(directory, prefix);
  const rules = [...outer, { prefix, own: ignore().add(readText(join(here, ".gitignore"))) }];
  return readdirSync(here, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    if (entry.name === ".git" || isIgnored(rules, entry.isDirectory() ? `${path}/` : path)) return [];
    return entry.isDirectory() ? walk(directory, `${path}/`, rules) : [path];
  });
}

interface Rules {
  readonly prefix: string;
  readonly own: Ignore;
}

/** The innermost file that says something decides. */
function isIgnored(rules: readonly Rules[], path: string): boolean {
  for (const { prefix, own: ignoreRules } of rules.toReversed()) {
    const { ignored, unignored } = ignoreRules.test(path.slice(prefix.length));
    if (ignored || unignored) return ignored;
  }
  return false;
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
