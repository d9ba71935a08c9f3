import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Process of a control plane. */
export interface Part {
  readonly name: string;
  readonly pid: number;
  hasEnded(): boolean;
  /** Returns the last lines of its log. */
  log(): Promise<string>;
  /** Kills the process with SIGKILL and starts it again. */
  restart(): Promise<void>;
  /** Sends SIGTERM, and SIGKILL after a second. */
  stop(): Promise<void>;
}

/** Go collects garbage when the heap is five times the live one. This saves a fifth of the time, and takes 100 MB more. */
const rareCollections = { GOGC: "400" };

/**
 * Starts a subcommand of the binary, with its log in `<home>/<name>.log`. The part ends when its stdin closes, however
 * this process ends.
 */
export function startPart(binary: string, name: string, args: readonly string[], home: string): Part {
  const logFile = join(home, `${name}.log`);
  let problem: Error | undefined;
  const start = (): ChildProcess => {
    const output = openSync(logFile, "a", 0o600);
    const env = { ...rareCollections, ...process.env };
    const started = spawn(binary, [name, ...args], { stdio: ["pipe", output, output], cwd: home, env });
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

/** Runs the binary to its end. Throws if it fails. */
export async function runToEnd(binary: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(binary, args);
}
