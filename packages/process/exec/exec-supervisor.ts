import { setTimeout as sleep } from "node:timers/promises";
import type { Exec } from "#core/ports/exec.ts";
import { limiter } from "#core/reconciler/limiter.ts";
import type { Inside } from "../runs/inside.ts";
import { openSession } from "../supervisor/sessions.ts";
import { type ExecEnd, forgetOldExecs, makeExecDirectory, writeExecEnd } from "./exec-record.ts";
import type { Reaper } from "./exec-session.ts";
import { startCommand } from "./exec-start.ts";

/** `closed` means that the run accepts no commands, and `full` that the disk is full. */
export type ExecReply = "accepted" | "known" | "closed" | "full";

export interface ExecSupervisor {
  /** Accepted commands start in turn. */
  start(exec: Exec): ExecReply;
  /** Resolves when the exec has ended, at once if it does not run, and after `waitMs` at the latest. */
  wait(id: string, waitMs: number): Promise<void>;
  close(): void;
  end(): Promise<void>;
}

export interface ExecTools {
  readonly takeFifo: () => Promise<string>;
  readonly reaper: Reaper;
}

interface Kept {
  readonly over: Promise<void>;
  kill(): void;
}

const notedAgainAfterMs = 1_000;
const forgetEveryMs = 60_000;
/** Deletes old results also after this many execs. */
const forgetEvery = 50;
/** Starts are CPU-bound: more at once would delay all of them, and this process. */
const startedAtOnce = 8;
/** A command that has not ended by then counts as started. */
const begunMs = 100;

interface Supervision {
  readonly directory: string;
  readonly tools: ExecTools;
  readonly running: Map<string, Kept>;
  readonly inTurn: ReturnType<typeof limiter>;
  isClosed: boolean;
}

/** Runs commands in the supervisor, so that they outlive their caller. */
export function superviseExecs(directory: string, inside: () => Inside | undefined, tools: ExecTools): ExecSupervisor {
  const running = new Map<string, Kept>();
  const supervision: Supervision = { directory, tools, running, inTurn: limiter(startedAtOnce), isClosed: false };
  const knownExecs = new Set<string>();
  const starting = new Set<Promise<void>>();
  let forgetting: NodeJS.Timeout | undefined;
  return {
    start: (exec) => {
      const place = inside();
      if (knownExecs.has(exec.id)) return "known";
      if (supervision.isClosed || !place) return "closed";
      const execPath = makePlace(directory, exec);
      if (execPath === undefined) return "full";
      knownExecs.add(exec.id);
      forgetting ??= setInterval(() => forgetOldExecs(directory, Date.now()), forgetEveryMs).unref();
      const begun = begin(supervision, exec, place, execPath);
      starting.add(begun);
      void begun.finally(() => starting.delete(begun));
      if (knownExecs.size % forgetEvery === 0) forgetOldExecs(directory, Date.now());
      return "accepted";
    },
    wait: async (id, waitMs) => {
      const stop = new AbortController();
      const late = sleep(waitMs, undefined, { signal: stop.signal }).catch(() => undefined);
      await Promise.race([running.get(id)?.over, late]);
      stop.abort();
    },
    close: () => {
      supervision.isClosed = true;
    },
    end: async () => {
      supervision.isClosed = true;
      clearInterval(forgetting);
      await Promise.allSettled(starting);
      for (const { kill } of running.values()) kill();
      tools.reaper.killAll(directory);
    },
  };
}

async function begin(supervision: Supervision, exec: Exec, place: Inside, execPath: string): Promise<void> {
  const { directory, tools, running, inTurn } = supervision;
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const closeSession = openSession(directory, process.pid);
  let finish = (ending: Ending): ExecEnd => ({ ...ending, ...nothing });
  const end = (how: ExecEnd) => {
    running.delete(exec.id);
    closeSession();
    noteEnd(execPath, how);
    resolve();
  };
  running.set(exec.id, { over, kill: () => end(finish(killed)) });
  await inTurn(async () => {
    if (supervision.isClosed) return;
    const started = startCommand({ exec, inside: place, directory: execPath, takeFifo: tools.takeFifo });
    const command = await started.catch(() => undefined);
    if (!command) return end({ ...notRunnable, ...nothing });
    finish = (ending) => {
      tools.reaper.add(directory, command);
      return command.finish(ending);
    };
    const ended = command.ended.then((ending) => running.has(exec.id) && end(finish(ending)));
    await Promise.race([ended, sleep(begunMs)]);
  });
}

/** A full disk fails this exec, but not its run. */
function makePlace(directory: string, { id }: Exec): string | undefined {
  try {
    return makeExecDirectory(directory, id);
  } catch {
    return undefined;
  }
}

/** An exec counts as running until its end is recorded; a full disk delays that. */
function noteEnd(execPath: string, how: ExecEnd): void {
  try {
    writeExecEnd(execPath, how);
  } catch {
    setTimeout(() => noteEnd(execPath, how), notedAgainAfterMs).unref();
  }
}

type Ending = Pick<ExecEnd, "exitCode" | "timedOut">;
const nothing = { stdoutCut: false, stderrCut: false, directory: null };
const killed: Ending = { exitCode: 137, timedOut: false };
/** Exit code of a shell for a command that cannot run (POSIX, Shell Command Language, 2.8.2). */
const notRunnable: Ending = { exitCode: 126, timedOut: false };
