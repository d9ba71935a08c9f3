import { spawn } from "node:child_process";
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { CliError, exitCodes } from "../failure.ts";
import type { Checkout } from "./checkout.ts";
import { noteStart } from "./stack-starts.ts";

/** A stack that was spawned and may not be ready yet. */
export interface SpawnedStack {
  readonly pid: number | undefined;
  hasEnded(): boolean;
  /** Reports whether `berth stack stop` was called while it started. */
  wasStopped(): boolean;
  /** Call it once the stack is ready or has failed. */
  forget(): void;
}

/** Spawns the stack in a new session, so that it outlives this process and its terminal. */
export function spawnStack({ root, home, log }: Checkout): SpawnedStack {
  const descriptor = openLog(log);
  // The Node of the checkout, as npm start takes it.
  const ownNode = join(root, "node_modules/.bin/node");
  const program = existsSync(ownNode) ? ownNode : process.execPath;
  const child = spawn(program, ["--max-semi-space-size=16", "scripts/start.mjs"], {
    cwd: root,
    detached: true,
    env: { LOG_FORMAT: "text", ...process.env, BERTH_HOME: home },
    stdio: ["ignore", descriptor, descriptor],
  });
  closeSync(descriptor);
  let hasEnded = false;
  const note = () => {
    hasEnded = true;
  };
  child.once("exit", note).once("error", note).unref();
  const noted = child.pid === undefined ? undefined : noteStart(home, child.pid);
  return {
    pid: child.pid,
    hasEnded: () => hasEnded,
    wasStopped: () => noted?.isNoted() === false,
    forget: () => noted?.forget(),
  };
}

/** Refuses a link: a cloned repository may hold a home that leads the log elsewhere. */
function openLog(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  try {
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new CliError(
      `${path} cannot be written: ${code}`,
      exitCodes.failed,
      "Set BERTH_HOME to a directory of your own.",
    );
  }
}
