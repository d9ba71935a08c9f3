import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  changelogFor,
  compareVersions,
  constantWith,
  isVersion,
  lockWith,
  packageWith,
  packPackages,
} from "./release-files.ts";

/** `npm run release -- <version>` commits, tags and packs into dist/release. It pushes and publishes nothing. */
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const [version = ""] = process.argv.slice(2);

const edits: Readonly<Record<string, (text: string) => string>> = {
  "package.json": (text) => packageWith(text, version),
  "packages/sdk/package.json": (text) => packageWith(text, version),
  "packages/cli/package.json": (text) => packageWith(text, version),
  "package-lock.json": (text) => lockWith(text, version),
  "packages/http/version.ts": (text) => constantWith(text, version),
  "packages/cli/version.ts": (text) => constantWith(text, version),
  "CHANGELOG.md": (text) => changelogFor(text, version, new Date().toISOString().slice(0, 10)),
};

refuseUnless(isVersion(version), `'${version}' is not a version. For example: npm run release -- 1.2.0`);
refuseUnless(git("status", "--porcelain") === "", "The checkout has uncommitted changes. Commit or stash them first.");
const newest = newestVersion();
refuseUnless(
  newest.isReleased ? compareVersions(version, newest.version) > 0 : compareVersions(version, newest.version) >= 0,
  `${version} is not newer than ${newest.version}.`,
);
refuseUnless(runs("npm", "run", "--silent", "check"), "npm run check fails, so nothing is released.");

const commit = git("rev-parse", "HEAD");
try {
  for (const [file, edit] of Object.entries(edits)) writeFileSync(file, edit(readFileSync(file, "utf8")));
  if (!runs("npm", "run", "--silent", "generate")) throw new Error("npm run generate fails");
  const packed = await packPackages(join("dist", "release"));
  git("commit", "--quiet", "--all", "--message", `Release ${version}`, "--message", "CHANGELOG.md has the changes.");
  git("tag", "--annotate", `v${version}`, "--message", `Berth ${version}`);
  for (const { path, sha256 } of packed) console.log(`${sha256}  ${path}`);
  console.log(`Tagged v${version}. Nothing is published. Push it with: git push --follow-tags`);
} catch (error) {
  // The checkout was clean, so this discards only what this script wrote.
  git("reset", "--quiet", "--hard", commit);
  console.error(`Nothing is released: ${(error as Error).message}`);
  process.exitCode = 1;
}

/** Returns the newest tagged version, or that of package.json if there is no tag. */
function newestVersion(): { readonly version: string; readonly isReleased: boolean } {
  const tagged = git("tag", "--list", "v*")
    .split("\n")
    .map((tag) => tag.slice(1))
    .filter(isVersion)
    .toSorted(compareVersions);
  const ownVersion: string = JSON.parse(readFileSync("package.json", "utf8")).version;
  return { version: tagged.at(-1) ?? ownVersion, isReleased: tagged.length > 0 };
}

function git(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync("git", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`git ${words[0]}: ${stderr.trim()}`);
  return stdout.trim();
}

function runs(program: string, ...words: string[]): boolean {
  return spawnSync(program, words, { stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

function refuseUnless(isTrue: boolean, message: string): void {
  if (isTrue) return;
  console.error(message);
  process.exit(1);
}
