import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One mistake: texts of the core's source, each of which stands there exactly once, and what it becomes. */
export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
  /** The core's test that catches it, where it takes more than a schedule has: long lines, days, a setting. */
  readonly caughtBy?: { readonly file: string; readonly title: string };
  /** It takes so many people for so many virtual days, where few environments show nothing. */
  readonly population?: { readonly people: number; readonly days: number };
}

const root = join(import.meta.dirname, "../../..");

const copied = ["package.json", "vitest.config.ts", "packages/core", "packages/http", "packages/testing"];

/**
 * Puts the mistake into a copy of the core and runs the simulator on that copy, or the test that the mistake names.
 * Answers the first violation, or the test that fails; undefined when there was none in so many schedules. Throws when
 * the source has changed under the mistake, or nothing ran.
 */
export async function catchPlanted(bug: PlantedBug, schedules: number): Promise<string | undefined> {
  const copy = await mkdtemp(join(tmpdir(), "berth-planted-"));
  try {
    for (const part of [...copied, "scripts/simulate.ts"]) {
      await cp(join(root, part), join(copy, part), { recursive: true });
    }
    await symlink(join(root, "node_modules"), join(copy, "node_modules"));
    for (const edit of bug.edits) await applyEdit(join(copy, "packages/core", edit.file), edit, bug.name);
    if (bug.caughtBy) return await failedTest(copy, bug.caughtBy);
    return await firstViolation(copy, argumentsOf(bug, schedules));
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function applyEdit(file: string, edit: { find: string; replace: string }, name: string): Promise<void> {
  const source = await readFile(file, "utf8");
  const parts = source.split(edit.find);
  if (parts.length !== 2) throw new Error(`'${name}' wants one place in ${file}, found ${parts.length - 1}`);
  await writeFile(file, parts.join(edit.replace));
}

function argumentsOf({ population }: PlantedBug, schedules: number): string[] {
  if (!population) return ["--schedules", String(schedules)];
  return ["--population", String(population.people), "--days", String(population.days)];
}

function firstViolation(directory: string, asked: readonly string[]): Promise<string | undefined> {
  const args = ["scripts/simulate.ts", ...asked, "--first"];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory }, (error, stdout, stderr) => {
      const violation = /^seed \d+: .*$/m.exec(stdout)?.[0];
      if (violation) return resolve(violation);
      if (error) return reject(new Error(`The planted copy did not run: ${stderr.slice(-500)}`));
      resolve(undefined);
    });
  });
}

/** Runs exactly that test. One that passes and one that is not there both end without an error: only its line differs. */
function failedTest(directory: string, { file, title }: { file: string; title: string }): Promise<string | undefined> {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const only = ["--testNamePattern", `(^| )${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`];
  const args = [vitest, "run", "--project", "memory", "--reporter", "tap-flat", ...only, join("packages/core", file)];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory }, (_, stdout, stderr) => {
      const lines = stdout.split("\n").filter((line) => line.includes(title) && !line.includes("# SKIP"));
      if (lines.some((line) => line.startsWith("not ok "))) return resolve(`${file}: ${title}`);
      if (lines.some((line) => line.startsWith("ok "))) return resolve(undefined);
      reject(new Error(`'${title}' of ${file} did not run: ${`${stdout}${stderr}`.slice(-500)}`));
    });
  });
}
