import { type SpawnOptionsWithoutStdio, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { PATIENCE_MS } from "#process/patience-fixture.ts";

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without blocking this process. By default, its limit is that of a test. */
export async function runProgram(
  program: string,
  words: readonly string[],
  options: SpawnOptionsWithoutStdio,
): Promise<ProgramResult> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const child = spawn(program, words, { timeout: PATIENCE_MS, killSignal: "SIGKILL", ...options });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  child.stdout.on("data", (part) => stdout.push(String(part)));
  child.stderr.on("data", (part) => stderr.push(String(part)));
  child.once("error", reject).once("close", resolve).stdin.end();
  return { code: await promise, stdout: stdout.join(""), stderr: stderr.join("") };
}

/** Returns the programs that are not on the PATH. Does not run them, because Jupyter takes seconds for its version. */
export function missingPrograms(...names: string[]): string[] {
  const directories = (process.env.PATH ?? "").split(delimiter);
  return names.filter((name) => !directories.some((directory) => isExecutable(join(directory, name))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
