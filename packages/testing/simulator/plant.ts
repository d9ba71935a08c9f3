import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlantedBug } from "./planted.ts";

const root = join(import.meta.dirname, "../../..");

/**
 * Puts the mistake into a copy of the core and runs the simulator on that copy. Answers the first violation, or
 * undefined when none was found in so many schedules. Throws when the source has changed under the mistake.
 */
export async function catchPlanted(bug: PlantedBug, schedules: number): Promise<string | undefined> {
  const copy = await mkdtemp(join(tmpdir(), "berth-planted-"));
  try {
    for (const part of ["package.json", "packages/core", "packages/http", "packages/testing", "scripts/simulate.ts"]) {
      await cp(join(root, part), join(copy, part), { recursive: true });
    }
    await symlink(join(root, "node_modules"), join(copy, "node_modules"));
    for (const edit of bug.edits) await applyEdit(join(copy, "packages/core", edit.file), edit, bug.name);
    return await firstViolation(copy, schedules);
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

function firstViolation(directory: string, schedules: number): Promise<string | undefined> {
  const args = ["scripts/simulate.ts", "--schedules", String(schedules), "--first"];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory }, (error, stdout, stderr) => {
      const violation = /^seed \d+: .*$/m.exec(stdout)?.[0];
      if (violation) return resolve(violation);
      if (error) return reject(new Error(`The planted copy did not run: ${stderr.slice(-500)}`));
      resolve(undefined);
    });
  });
}
