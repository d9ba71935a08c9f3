import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cliTarball } from "../packages/cli/tarball.ts";

/** Version as npm reads it, without build metadata: 1.2.0 or 1.2.0-rc.1. */
const form = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$/;

export function isVersion(text: string): boolean {
  return form.test(text);
}

/** Compares two versions by the rules of Semantic Versioning 2.0.0, section 11. Negative if the first one is older. */
export function compareVersions(left: string, right: string): number {
  const [, ...first] = form.exec(left) ?? [];
  const [, ...second] = form.exec(right) ?? [];
  for (const at of [0, 1, 2]) {
    const difference = Number(first[at]) - Number(second[at]);
    if (difference !== 0) return difference;
  }
  const [preOne, preOther] = [first[3], second[3]];
  if (preOne === preOther) return 0;
  if (preOne === undefined || preOther === undefined) return preOne === undefined ? 1 : -1;
  return comparePreReleases(preOne.split("."), preOther.split("."));
}

function comparePreReleases(left: readonly string[], right: readonly string[]): number {
  for (const [at, word] of left.entries()) {
    const against = right[at];
    if (against === undefined) return 1;
    if (word === against) continue;
    const [isNumber, againstNumber] = [/^\d+$/.test(word), /^\d+$/.test(against)];
    if (isNumber && againstNumber) return Number(word) - Number(against);
    if (isNumber !== againstNumber) return isNumber ? -1 : 1;
    return word < against ? -1 : 1;
  }
  return left.length - right.length;
}

export function changelogFor(text: string, version: string, date: string): string {
  const [, before, changes] = /^([\s\S]*?)^## Unreleased\n([\s\S]*)$/m.exec(text) ?? [];
  if (before === undefined || changes === undefined) throw new Error("CHANGELOG.md has no heading '## Unreleased'");
  const [ownName = "", ...older] = changes.split(/^(?=## )/m);
  const released = ownName.replace(/^Nothing has been released yet.*(\n\S.*)*\n/m, "").trim();
  if (released === "") throw new Error("CHANGELOG.md names no change under '## Unreleased'");
  return `${before}## Unreleased\n\n## ${version} - ${date}\n\n${released}\n${older.length > 0 ? "\n" : ""}${older.join("")}`;
}

export function packageWith(text: string, version: string): string {
  return text.replace(/^( {2}"version": ")[^"]+/m, `$1${version}`);
}

export function lockWith(text: string, version: string): string {
  const lock = JSON.parse(text);
  lock.version = version;
  for (const name of ["", "packages/cli", "packages/sdk"]) lock.packages[name].version = version;
  return `${JSON.stringify(lock, null, 2)}\n`;
}

export function constantWith(text: string, version: string): string {
  return text.replace(/^(export const version = ")[^"]+/m, `$1${version}`);
}

export interface PackedFile {
  readonly path: string;
  readonly sha256: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** Packs the SDK and the command line into tarballs, with their SHA-256 in SHA256SUMS. The checkout does not change. */
export async function packPackages(directory: string): Promise<readonly PackedFile[]> {
  mkdirSync(directory, { recursive: true });
  const cli = join(directory, `berth-cli-${getVersion("cli")}.tgz`);
  // The same bytes as those that a deployment serves.
  writeFileSync(cli, await cliTarball());
  const packed = [packSdk(resolve(directory)), cli].map((path) => ({
    path,
    sha256: createHash("sha256").update(readFileSync(path)).digest("hex"),
  }));
  const sums = packed.map(({ path, sha256 }) => `${sha256}  ${basename(path)}\n`);
  writeFileSync(join(directory, "SHA256SUMS"), sums.join(""));
  return packed;
}

/** Compiles in a temporary directory, because a `dist` in the checkout would hide the source. */
function packSdk(directory: string): string {
  const stage = mkdtempSync(join(tmpdir(), "berth-sdk-"));
  try {
    run("tsc", ["-p", "packages/sdk", "--outDir", join(stage, "dist")], root);
    for (const file of ["packages/sdk/package.json", "packages/sdk/README.md", "LICENSE"]) {
      cpSync(join(root, file), join(stage, basename(file)));
    }
    const words = ["pack", "--silent", "--ignore-scripts", "--pack-destination", directory];
    return join(directory, run("npm", words, stage).trim());
  } finally {
    rmSync(stage, { recursive: true });
  }
}

function getVersion(name: string): string {
  return JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")).version;
}

function run(program: string, words: readonly string[], cwd: string): string {
  const path = `${join(root, "node_modules/.bin")}:${process.env.PATH}`;
  return execFileSync(program, words, { cwd, encoding: "utf8", env: { ...process.env, PATH: path } });
}
