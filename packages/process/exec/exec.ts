import { setTimeout as sleep } from "node:timers/promises";
import type { Exec, ExecStatus } from "#core/ports/exec.ts";
import { Problem, RunGone } from "#core/problem.ts";
import { readStatus } from "../runs/observation.ts";
import { isDirectory } from "../runs/run-directory.ts";
import { askControlSocket } from "../supervisor/control-socket.ts";
import { hasEnded, isExecId, seeExec } from "./exec-record.ts";
import type { ExecReply } from "./exec-supervisor.ts";

export async function startExec(directory: string, exec: Exec): Promise<void> {
  if (!isExecId(exec.id)) throw new Error("The id of the exec is not valid");
  refuseNul(exec);
  if (!isOpen(directory)) throw new RunGone();
  try {
    const reply = await askControlSocket<ExecReply>(directory, { ask: "exec", exec }, startedWithinMs);
    if (reply === "closed") throw new RunGone();
    if (reply === "full") throw diskFull();
  } catch (error) {
    throw isOpen(directory) ? error : new RunGone();
  }
}

export async function readExec(directory: string, id: string, waitMs: number): Promise<ExecStatus | undefined> {
  if (!isExecId(id)) return undefined;
  await waitForEnd(directory, id, Math.min(waitMs, longestWaitMs));
  const isAlive = readStatus(directory).supervisorLives;
  const status = seeExec(directory, id);
  if (status?.state !== "running" || isAlive) return status;
  // The run died without recording the end of the exec.
  return { ...status, state: "ended", exitCode: killed };
}

function diskFull(): Problem {
  const text = "The disk of this machine is full: no command can be started until there is room";
  return new Problem("unavailable", text, { retryAfterSeconds: 30, errorCode: "capacity" });
}

const startedWithinMs = 20_000;
const longestWaitMs = 4_000;
const killed = 137;

async function waitForEnd(directory: string, id: string, waitMs: number): Promise<void> {
  if (waitMs <= 0 || !seeExec(directory, id) || hasEnded(directory, id) || !readStatus(directory).supervisorLives)
    return;
  await askControlSocket(directory, { ask: "wait", id, waitMs }, waitMs + startedWithinMs).catch(() => sleep(20));
}

function isOpen(directory: string): boolean {
  if (!isDirectory(directory)) return false;
  const { supervisorLives, end, removal } = readStatus(directory);
  return supervisorLives && !end && removal === undefined;
}

/** No process can receive NUL. The message contains no value. */
function refuseNul({ words, env, directory }: Exec): void {
  const texts = [...words, ...Object.keys(env), ...Object.values(env), directory ?? ""];
  if (texts.some((text) => text.includes("\0"))) throw new Error("The command contains a NUL character");
}
