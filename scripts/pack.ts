import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cliTarball } from "../packages/cli/tarball.ts";

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
