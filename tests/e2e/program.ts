import { type SpawnOptionsWithoutStdio, spawn, spawnSync } from "node:child_process";
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

/** Returns the programs that this machine lacks. */
export function missingPrograms(...names: string[]): string[] {
  return names.filter((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).error !== undefined);
}
