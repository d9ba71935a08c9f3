import { execFile, type SpawnSyncOptions, spawnSync } from "node:child_process";

/** A program that is tried, and the environment in which it is. It ends with 0 where what it tries works here. */
export interface Attempted {
  readonly program: string;
  readonly words: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** What cannot be judged is no "no": whoever took it for one would run environments with less around them. */
export class TooSlow extends Error {
  constructor(subject: string, withinMs: number) {
    super(
      `${subject} could not be tried within ${withinMs / 1_000} s: this machine has too much to do. Start again later.`,
    );
  }
}

/** Longer than any of them takes while twenty others want each processor. */
const PATIENCE_MS = 60_000;

/** Whether it works here. Throws `TooSlow` where that is not known in time. */
export function worksHere(subject: string, { program, words, env }: Attempted, withinMs = PATIENCE_MS): boolean {
  const options: SpawnSyncOptions = { env, stdio: "ignore", timeout: withinMs, killSignal: "SIGKILL" };
  const { status, error } = spawnSync(program, words, options);
  if (error && "code" in error && error.code === "ETIMEDOUT") throw new TooSlow(subject, withinMs);
  return status === 0;
}

/** The same in the background. */
export function tryHere(subject: string, { program, words, env }: Attempted, withinMs = PATIENCE_MS): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { env, timeout: withinMs, killSignal: "SIGKILL" }, (error) => {
      if (error?.killed) reject(new TooSlow(subject, withinMs));
      else resolve(error === null);
    });
  });
}
