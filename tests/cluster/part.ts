import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** One process of a control plane. */
export interface Part {
  readonly name: string;
  readonly pid: number;
  hasEnded(): boolean;
  /** The last lines of what it said. */
  log(): Promise<string>;
  /** Kills it, as a crash would, and starts it again. */
  restart(): Promise<void>;
  /** Asks it to end, and ends it after a second. */
  stop(): Promise<void>;
}

/**
 * Starts a subcommand of the binary, its log in `<home>/<name>.log`. This process holds the other end of its input,
 * which closes however this process ends: then the part ends too.
 */
export function startPart(binary: string, name: string, args: readonly string[], home: string): Part {
  const logFile = join(home, `${name}.log`);
  let problem: Error | undefined;
  const start = (): ChildProcess => {
    const output = openSync(logFile, "a", 0o600);
    const started = spawn(binary, [name, ...args], { stdio: ["pipe", output, output], cwd: home });
    closeSync(output);
    return started.on("error", (error) => {
      problem = error;
    });
  };
  let child = start();
  const hasEnded = () => problem !== undefined || child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    if (hasEnded()) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), 1000);
    await ended;
    clearTimeout(late);
  };
  return {
    name,
    get pid() {
      return child.pid ?? 0;
    },
    hasEnded,
    log: async () => problem?.message ?? (await readFile(logFile, "utf8")).split("\n").slice(-20).join("\n"),
    async restart() {
      await end("SIGKILL");
      child = start();
    },
    stop: () => end("SIGTERM"),
  };
}

/** Runs the binary until it ends; throws when it fails. */
export async function runToEnd(binary: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(binary, args);
}
