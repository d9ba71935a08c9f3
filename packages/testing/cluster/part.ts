import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** One process of a control plane. */
export interface Part {
  readonly pid: number;
  hasEnded(): boolean;
  /** The last lines of what it said. */
  log(): Promise<string>;
  /** Asks it to end, and ends it after a second. */
  stop(): Promise<void>;
}

/**
 * Starts a subcommand of the binary, its log in `<home>/<name>.log`. It holds the other end of its input, which closes
 * with this process: then the part ends too.
 */
export function startPart(binary: string, name: string, args: readonly string[], home: string): Part {
  const logFile = join(home, `${name}.log`);
  const output = openSync(logFile, "a", 0o600);
  const child = spawn(binary, [name, ...args], { stdio: ["pipe", output, output], cwd: home });
  closeSync(output);
  let error: Error | undefined;
  child.on("error", (problem) => {
    error = problem;
  });
  const hasEnded = () => error !== undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    hasEnded,
    log: async () => error?.message ?? (await readFile(logFile, "utf8")).split("\n").slice(-20).join("\n"),
    async stop() {
      if (hasEnded()) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 1000);
      await ended;
      clearTimeout(late);
    },
  };
}

/** Runs the binary until it ends; throws when it fails. */
export async function runToEnd(binary: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(binary, args);
}
