import { type FSWatcher, watch } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LiveLogs } from "#core/ports/run-log.ts";
import { isDirectory, runName } from "../runs/run-directory.ts";
import { outputEnd, readOutput } from "./output.ts";

/** Polling interval, used if the system provides no more watches. */
const POLL_MS = 250;

export function processLiveLogs(home: string): LiveLogs {
  const getDirectory = (uid: string, run: number) => join(resolve(home), "runs", runName(uid, run));
  return {
    read: async (uid, run, from) => {
      const directory = getDirectory(uid, run);
      return isDirectory(directory) ? readOutput(directory, from) : undefined;
    },
    waitFor: async (uid, run, position, ms, signal) => {
      const directory = getDirectory(uid, run);
      // A monotonic clock gives fractions, and a timeout takes whole milliseconds.
      const isOver = AbortSignal.any([AbortSignal.timeout(Math.ceil(ms)), ...(signal ? [signal] : [])]);
      // Watch before the read, so that no output between the two is missed.
      const watched = watchDirectory(directory);
      try {
        while (!isOver.aborted && outputEnd(directory) <= position) await watched.change(isOver);
      } finally {
        watched.close();
      }
    },
  };
}

function watchDirectory(directory: string): { change(signal: AbortSignal): Promise<void>; close(): void } {
  let hasChanged = false;
  let tell: () => void = () => undefined;
  const told = () => {
    hasChanged = true;
    tell();
  };
  const watcher = watchOrPoll(directory, told);
  return {
    change: (signal) =>
      new Promise<void>((done) => {
        const finish = () => {
          signal.removeEventListener("abort", finish);
          hasChanged = false;
          done();
        };
        tell = finish;
        if (hasChanged || signal.aborted) finish();
        else signal.addEventListener("abort", finish, { once: true });
      }),
    close: () => watcher.close(),
  };
}

function watchOrPoll(directory: string, told: () => void): Pick<FSWatcher, "close"> {
  try {
    return watch(directory, told).on("error", told);
  } catch {
    const stopped = new AbortController();
    void repeat(told, stopped.signal);
    return { close: () => stopped.abort() };
  }
}

async function repeat(told: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(POLL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    told();
  }
}
