import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { listensInside } from "../network/listening.ts";
import type { Inside } from "../runs/inside.ts";
import { signalChildGroup } from "../supervisor/process-identity.ts";

export interface WebProgram {
  readonly place: Inside;
  /** Path that it answers without a login. */
  readonly path: string;
  /** Starts the program once. `failures` counts the starts before that did not answer. */
  readonly start: (failures: number) => Promise<StartedProgram>;
  /** Called when a started program answers. If this throws, the program counts as not answering yet. */
  readonly onAnswer: (started: StartedProgram) => unknown;
  readonly onEnd?: () => void;
  readonly signal: AbortSignal;
}

export interface StartedProgram {
  readonly child: ChildProcess;
  readonly port: number;
}

export type GivenUp = { readonly why: "silent" } | { readonly why: "ended"; readonly exitCode: number | null };

const startedWithinMs = 60_000;
const mostFailures = 3;
const longestPauseMs = 10_000;

/** Exit code of a shell for a command that it cannot find (POSIX, Shell Command Language, 2.8.2). */
export const notFound = 127;

/** Restarts a program with backoff until `signal` aborts. Gives up one that has never answered. */
export async function keepRunning(program: WebProgram): Promise<GivenUp | undefined> {
  const { start, onEnd, signal } = program;
  let hasAnswered = false;
  for (let failures = 0; !signal.aborted; failures += 1) {
    const started = await start(failures);
    const exit = findExit(started.child);
    const kill = () => void endGroup(started.child, exit);
    signal.addEventListener("abort", kill, { once: true });
    const answer = await waitForAnswer(program, started, exit);
    if (answer === "answers") {
      hasAnswered = true;
      failures = 0;
    } else kill();
    const exitCode = await exit;
    signal.removeEventListener("abort", kill);
    if (signal.aborted) return undefined;
    onEnd?.();
    if (!hasAnswered && answer === "silent") return { why: "silent" };
    if (!hasAnswered && (exitCode === notFound || failures + 1 >= mostFailures)) return { why: "ended", exitCode };
    await sleep(Math.min(250 * 2 ** failures, longestPauseMs), undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

export function describeFailure(name: string, failure: GivenUp): string {
  if (failure.why === "silent") return `${name} did not answer within 60 s`;
  return `${name} ended at once (exit code ${failure.exitCode})`;
}

function findExit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("exit", (code) => resolve(code)).once("error", () => resolve(null));
  });
}

async function waitForAnswer(
  { place, path, onAnswer, signal }: WebProgram,
  started: StartedProgram,
  exit: Promise<unknown>,
): Promise<"answers" | "silent" | "ended"> {
  const ended = exit.then(() => "ended" as const);
  const end = performance.now() + startedWithinMs;
  while (!signal.aborted && performance.now() < end) {
    const answer = await Promise.race([ended, isAnswering(place, started.port, path)]);
    if (answer === "ended") return answer;
    if (answer && (await isTaken(onAnswer, started))) return "answers";
    await Promise.race([ended, sleep(100)]);
  }
  return "silent";
}

async function isTaken(onAnswer: WebProgram["onAnswer"], started: StartedProgram): Promise<boolean> {
  try {
    await onAnswer(started);
    return true;
  } catch {
    return false;
  }
}

async function isAnswering({ network, sandbox }: Inside, port: number, path: string): Promise<boolean> {
  if (network === "own" && !(sandbox && (await listensInside(sandbox.pid, port)))) return false;
  const signal = AbortSignal.timeout(2_000);
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal, redirect: "manual" }).catch(
    () => undefined,
  );
  await response?.body?.cancel();
  return response !== undefined && response.status < 500;
}

const graceMs = 2_000;

/** Ends a group with a grace period: Jupyter must end its kernels itself, which are in their own groups. */
async function endGroup(child: ChildProcess, exit: Promise<unknown>): Promise<void> {
  signalChildGroup(child, "SIGTERM");
  await Promise.race([exit, sleep(graceMs)]);
  signalChildGroup(child, "SIGKILL");
}
