import { setTimeout as sleep } from "node:timers/promises";
import type { Exec } from "#core/ports/exec.ts";
import { limiter } from "#core/reconciler/limiter.ts";
import type { Inside } from "../runs/inside.ts";
import type { Reaper } from "../supervisor/reaper.ts";
import { openSession } from "../supervisor/sessions.ts";
import { type ExecEnd, forgetOldExecs, makeExecDirectory, writeExecEnd } from "./exec-record.ts";
import { startCommand } from "./exec-start.ts";

/**
 * What a supervisor answers to one who wants a command started; `closed`: nothing is started there any more; `full`:
 * there is no room for what it would say.
 */
export type ExecReply = "accepted" | "known" | "closed" | "full";

export interface ExecSupervisor {
  /** Answers at once: what was accepted is started in its turn. */
  start(exec: Exec): ExecReply;
  /** Resolves when the exec has ended, at once when none of this id runs, at the latest after `waitMs`. */
  wait(id: string, waitMs: number): Promise<void>;
  /** Starts nothing any more. */
  close(): void;
  /** Kills all that was started, and writes down that it has ended. */
  end(): Promise<void>;
}

/** What the commands of all runs share. */
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
/** As many execs later the old ones are looked at, however soon that is. */
const forgetEvery = 50;
/** Beginning is work for the processor: more at once would only be later, all of them, and this process with them. */
const startedAtOnce = 8;
/** A command that has not ended by then has begun. */
const begunMs = 100;

/** Runs commands beside the run's own, by its supervisor, so that they outlive whoever asked for them. */
export function superviseExecs(directory: string, inside: () => Inside | undefined, tools: ExecTools): ExecSupervisor {
  const knownExecs = new Set<string>();
  const running = new Map<string, Kept>();
  const starting = new Set<Promise<void>>();
  const { takeFifo, reaper } = tools;
  const inTurn = limiter(startedAtOnce);
  let isClosed = false;
  let forgetting: NodeJS.Timeout | undefined;

  const begin = async (exec: Exec, place: Inside, execPath: string): Promise<void> => {
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
      if (isClosed) return;
      const command = await startCommand({ exec, inside: place, directory: execPath, takeFifo }).catch(() => undefined);
      if (!command) return end({ ...notRunnable, ...nothing });
      finish = (ending) => {
        reaper.add(directory, command);
        return command.finish(ending);
      };
      const ended = command.ended.then((ending) => running.has(exec.id) && end(finish(ending)));
      await Promise.race([ended, sleep(begunMs)]);
    });
  };
  /** A full disk costs this exec, and not its run. */
  const placeFor = ({ id }: Exec): string | undefined => {
    try {
      return makeExecDirectory(directory, id);
    } catch {
      return undefined;
    }
  };
  /** Until its end can be written down, as on a full disk, an exec counts as one that runs. */
  const noteEnd = (execPath: string, how: ExecEnd): void => {
    try {
      writeExecEnd(execPath, how);
    } catch {
      setTimeout(() => noteEnd(execPath, how), notedAgainAfterMs).unref();
    }
  };
  return {
    start: (exec) => {
      const place = inside();
      if (knownExecs.has(exec.id)) return "known";
      if (isClosed || !place) return "closed";
      const execPath = placeFor(exec);
      if (execPath === undefined) return "full";
      knownExecs.add(exec.id);
      forgetting ??= setInterval(() => forgetOldExecs(directory, Date.now()), forgetEveryMs).unref();
      const begun = begin(exec, place, execPath);
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
      isClosed = true;
    },
    end: async () => {
      isClosed = true;
      clearInterval(forgetting);
      await Promise.allSettled(starting);
      for (const { kill } of running.values()) kill();
      reaper.killAll(directory);
    },
  };
}

type Ending = Pick<ExecEnd, "exitCode" | "timedOut">;
const nothing = { stdoutCut: false, stderrCut: false, directory: null };
/** 128 + SIGKILL. */
const killed: Ending = { exitCode: 137, timedOut: false };
/** What a shell answers for a command that cannot be run (POSIX, Shell Command Language, 2.8.2). */
const notRunnable: Ending = { exitCode: 126, timedOut: false };
