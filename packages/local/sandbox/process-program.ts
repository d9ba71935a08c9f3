import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import type { Program, ProgramEnd } from "#gateway/ports/reach.ts";
import { commandInside, type Inside } from "#process/runs/inside.ts";
import {
  findProcess,
  hasExited,
  type ProcessStatus,
  signalChildGroup,
  signalProcess,
} from "#process/supervisor/process-identity.ts";

/** Counts a process as a session, until the returned function is called. */
export type MarkSession = (pid: number | undefined) => () => void;

/** Runs a command with three separate streams. */
export function startProcess(inside: Inside, words: readonly string[], mark: MarkSession): Program {
  const { file, args, env, cwd } = commandInside(inside, words);
  const child = spawn(file, args, { env, cwd, detached: true, stdio: "pipe" });
  const { promise: ended, resolve: end } = Promise.withResolvers<ProgramEnd>();
  child.once("error", () => end({ exitCode: 255 }));
  child.once("close", (code, signal) => end(code === null && signal !== null ? { signal } : { exitCode: code ?? 255 }));
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => undefined);
  const unmark = mark(child.pid);
  return {
    input: child.stdin,
    output: child.stdout,
    errors: child.stderr,
    ended,
    resize: () => undefined,
    signal: (name) => signalProgram(child, inside, name),
    closeOutput: () => child.stdout.destroy(),
    hangUp: async () => {
      unmark();
      signalChildGroup(child, "SIGHUP");
      // As with sshd, a program that ignores SIGHUP gets closed pipes; otherwise its writes would block forever.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
    },
  };
}

function signalProgram(child: ChildProcess, { sandbox }: Inside, name: NodeJS.Signals): void {
  if (!sandbox) signalChildGroup(child, name);
  else if (child.pid !== undefined && !hasExited(child)) void signalGuests(child.pid, name).catch(() => undefined);
}

/** Not atomic, unlike a signal to a process group: a process that starts after the list was made gets no signal. */
async function signalGuests(group: number, name: NodeJS.Signals): Promise<void> {
  for (const guest of await findGuests(group)) signalProcess(guest, name);
}

/** Programs that wait for their child inside. A signal that the child handles would end them. */
const wrappers: ReadonlySet<string> = new Set(["nsenter", "bwrap"]);

async function findGuests(group: number): Promise<ProcessStatus[]> {
  return (await listed()).filter((found) => found.group === group && !wrappers.has(formatName(found.pid)));
}

const listed = shared(listProcesses);

/**
 * Deduplicates calls of a costly function, because clients choose how often they send signals. A call during a run
 * gets the result of the next run, which all calls until then share.
 */
export function shared<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<Result> | undefined;
  const start = () => {
    next = undefined;
    return run();
  };
  return () => {
    next ??= running.then(start, start);
    running = next;
    return next;
  };
}

const SLICE = 64;

async function listProcesses(): Promise<ProcessStatus[]> {
  const found: ProcessStatus[] = [];
  for (const [count, name] of (await readdir("/proc")).entries()) {
    if (count % SLICE === 0) await setImmediate();
    const status = /^\d+$/.test(name) ? findProcess(Number(name)) : undefined;
    if (status) found.push(status);
  }
  return found;
}

function formatName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
