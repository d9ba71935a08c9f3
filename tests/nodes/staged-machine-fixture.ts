import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/**
 * Starts a program of Node on a machine that differs from this one: `stage` is a shell script, run by root in the
 * namespaces that the options of unshare(1) name.
 */
export function startStaged(options: readonly string[], stage: string, program: URL, args: readonly string[] = []) {
  const script = `set -e\n${stage}\nexec "$@"`;
  const words = ["bash", "-c", script, "staged", process.execPath, fileURLToPath(program), ...args];
  const child = spawn("unshare", [...options, "--", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

/** Returns the JSON that a program prints once it is ready. Throws with its errors if it ends before. */
export async function readReady<Value>(child: ChildProcess): Promise<Value> {
  if (child.stdout === null || child.stderr === null) throw new Error("The program has no output");
  const errors = text(child.stderr);
  const ended = once(child, "exit").then(async () => {
    throw new Error(await errors);
  });
  const [line] = await Promise.race([once(child.stdout, "data"), ended]);
  ended.catch(() => undefined);
  return JSON.parse(String(line)) as Value;
}

/** Kills a program, and returns once it is gone. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
