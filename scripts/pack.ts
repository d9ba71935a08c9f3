import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { packCli } from "../packages/cli/build.ts";

/** A tarball of npm. */
export interface PackedFile {
  readonly path: string;
  readonly sha256: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** Builds the SDK and the command line, and packs each into a tarball. The checkout is left as it is. */
export async function packPackages(directory: string): Promise<readonly PackedFile[]> {
  const stage = mkdtempSync(join(tmpdir(), "berth-stage-"));
  try {
    mkdirSync(directory, { recursive: true });
    run("tsc", ["-p", "packages/sdk", "--outDir", join(stage, "sdk/dist")], root);
    stageFiles("packages/sdk", join(stage, "sdk"), ["README.md"]);
    await packCli(join(stage, "cli/dist"));
    stageFiles("packages/cli", join(stage, "cli"), ["README.md", "berth.mjs"]);
    return ["sdk", "cli"].map((name) => npmPack(join(stage, name), resolve(directory)));
  } finally {
    rmSync(stage, { recursive: true });
  }
}

function stageFiles(source: string, target: string, files: readonly string[]): void {
  const { devDependencies, ...published } = JSON.parse(readFileSync(join(root, source, "package.json"), "utf8"));
  writeFileSync(join(target, "package.json"), `${JSON.stringify(published, null, 2)}\n`);
  for (const file of files) cpSync(join(root, source, file), join(target, file));
  cpSync(join(root, "LICENSE"), join(target, "LICENSE"));
}

function npmPack(source: string, directory: string): PackedFile {
  const name = run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", directory], source).trim();
  const path = join(directory, name);
  return { path, sha256: createHash("sha256").update(readFileSync(path)).digest("hex") };
}

/** Prints what the program printed only if it fails. */
function run(program: string, words: readonly string[], cwd: string): string {
  const path = `${join(root, "node_modules/.bin")}:${process.env.PATH}`;
  return execFileSync(program, words, { cwd, encoding: "utf8", env: { ...process.env, PATH: path } });
}
