import { execFile, type SpawnSyncOptions, spawnSync } from "node:child_process";

export interface Probe {
  readonly program: string;
  readonly words: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** Probe timeout. Reading it as "does not work" would start environments with weaker isolation. */
export class TooSlow extends Error {
  constructor(subject: string, withinMs: number) {
    super(
      `${subject} could not be tested within ${withinMs / 1_000} s because this machine is overloaded. Start again later.`,
    );
  }
}

/** Longer than any probe takes while twenty processes compete for each processor. */
const PATIENCE_MS = 60_000;

/** Reports whether the probe succeeds. Throws `TooSlow` on a timeout. */
export function probeSync(subject: string, { program, words, env }: Probe, withinMs = PATIENCE_MS): boolean {
  const options: SpawnSyncOptions = { env, stdio: "ignore", timeout: withinMs, killSignal: "SIGKILL" };
  const { status, error } = spawnSync(program, words, options);
  if (error && "code" in error && error.code === "ETIMEDOUT") throw new TooSlow(subject, withinMs);
  return status === 0;
}

export function probe(subject: string, { program, words, env }: Probe, withinMs = PATIENCE_MS): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { env, timeout: withinMs, killSignal: "SIGKILL" }, (error) => {
      if (error?.killed) reject(new TooSlow(subject, withinMs));
      else resolve(error === null);
    });
  });
}
