import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildContext, context } from "esbuild";
import { type CoreTest, newTestRunner } from "./planted-tests.ts";

/** A mistake: texts that occur once in a source file, with their replacements. Files are relative to packages/core. */
export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
  /** The test that catches a mistake beyond schedules: long queues, days, a setting, processes. */
  readonly caughtBy?: CoreTest;
  /** Population that shows the mistake, if a few environments do not. */
  readonly population?: { readonly people: number; readonly days: number };
}

/** The test that caught a mistake, or the seed of the schedule. */
export type Catch =
  | { readonly by: "test"; readonly test: CoreTest }
  | { readonly by: "schedule"; readonly seed: number; readonly violation: string };

/** A copy of the source with at most one mistake. */
export interface CoreCopy {
  /**
   * Plants the mistake, runs the simulator or the mistake's test, and removes it. Tries `seed` first, then the seeds
   * from 1. Returns undefined if no schedule showed it. Throws if the source has changed or nothing ran.
   */
  catchPlanted(bug: PlantedBug, schedules: number, seed?: number): Promise<Catch | undefined>;
  remove(): Promise<void>;
}

const root = join(import.meta.dirname, "../../..");

/** Tests of the command line start a whole stack, and those on real nodes look for the programs and images built. */
const copied = [
  "package.json",
  "tsconfig.json",
  "vitest.config.ts",
  "functions.json",
  "openapi.json",
  "deploy",
  "functions",
  "images",
  "packages",
  "scripts",
  "tests",
  "tools",
];

/** A bundle of the command line would run instead of its source. */
const leftOut = /\/(node_modules|dist)(\/|$)/;

/** Copies the source. All mistakes share a copy, so unchanged files are read and compiled once. */
export async function copyCore(): Promise<CoreCopy> {
  const copy = await mkdtemp(join(tmpdir(), "berth-planted-"));
  let simulator: BuildContext;
  try {
    await fill(copy);
    simulator = await bundleSimulator(copy);
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    throw error;
  }
  const tests = newTestRunner(copy);

  /** Runs the simulator of the copy as it is now. */
  async function firstViolation(names: readonly string[]): Promise<Catch | undefined> {
    await simulator.rebuild();
    return runSimulator(copy, names);
  }

  async function caught(bug: PlantedBug, schedules: number, seed?: number): Promise<Catch | undefined> {
    const { caughtBy: test } = bug;
    if (test) return (await tests.fails(test, listSources(copy, bug))) ? { by: "test", test } : undefined;
    if (bug.population) return await firstViolation(getPopulation(bug.population));
    const seedViolation = seed !== undefined && (await firstViolation(["--from", String(seed), "--schedules", "1"]));
    return seedViolation || (await firstViolation(["--schedules", String(schedules)]));
  }

  return {
    async catchPlanted(bug, schedules, seed) {
      const sources = new Map<string, string>();
      for (const file of listSources(copy, bug)) sources.set(file, await readFile(file, "utf8"));
      try {
        for (const edit of bug.edits) await applyEdit(join(copy, "packages/core", edit.file), edit, bug.name);
        return await caught(bug, schedules, seed);
      } finally {
        for (const [file, source] of sources) await writeFile(file, source);
      }
    },
    async remove() {
      await simulator.dispose();
      await tests.close();
      await rm(copy, { recursive: true, force: true });
    },
  };
}

async function fill(copy: string): Promise<void> {
  for (const part of copied) {
    const from = join(root, part);
    await cp(from, join(copy, part), { recursive: true, filter: (path) => !leftOut.test(path.slice(root.length)) });
  }
  await linkPackages(join(root, "node_modules"), join(copy, "node_modules"));
}

/** Links the installed packages. Bundles of the copy have a mistake, so they are not kept beside those of the source. */
async function linkPackages(installed: string, linked: string): Promise<void> {
  await mkdir(join(linked, ".cache"), { recursive: true });
  const names = (await readdir(installed)).filter((name) => name !== ".cache");
  for (const name of [...names, ".cache/compiled"]) await symlink(join(installed, name), join(linked, name));
}

function listSources(copy: string, { edits }: PlantedBug): string[] {
  return [...new Set(edits.map(({ file }) => join(copy, "packages/core", file)))];
}

async function applyEdit(file: string, edit: { find: string; replace: string }, name: string): Promise<void> {
  const source = await readFile(file, "utf8");
  const parts = source.split(edit.find);
  if (parts.length !== 2) throw new Error(`'${name}' wants one place in ${file}, found ${parts.length - 1}`);
  await writeFile(file, parts.join(edit.replace));
}

function getPopulation({ people, days }: { readonly people: number; readonly days: number }): string[] {
  return ["--population", String(people), "--days", String(days)];
}

const BUNDLE = "scripts/simulate-bundle.mjs";

/** Loading the modules of the simulator takes longer than a schedule, and a rebuild reads only what changed. */
function bundleSimulator(copy: string): Promise<BuildContext> {
  return context({
    absWorkingDir: copy,
    entryPoints: ["scripts/simulate.ts"],
    outfile: join(copy, BUNDLE),
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    logLevel: "silent",
  });
}

function runSimulator(directory: string, names: readonly string[]): Promise<Catch | undefined> {
  const args = [BUNDLE, ...names, "--first"];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory }, (error, stdout, stderr) => {
      const [, seed, violation] = /^seed (\d+): (.*)$/m.exec(stdout) ?? [];
      if (violation !== undefined) return resolve({ by: "schedule", seed: Number(seed), violation });
      if (error) return reject(new Error(`The planted copy did not run: ${stderr.slice(-500)}`));
      resolve(undefined);
    });
  });
}
