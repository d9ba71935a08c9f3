import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunRef } from "#core/ports/compute.ts";
import { namesIn } from "../files.ts";
import { isAlive } from "../supervisor/process-identity.ts";
import { livingSupervisors } from "../supervisor/supervisor-place.ts";
import { runName, runOfName } from "./run-directory.ts";

/** Files in `runs/.changed` are named after changed runs and hold the keys of their records. */
const folder = ".changed";
const pollEveryMs = 100;
const supervisorsEveryMs = 1_000;

/** Renames the note into place, because readers would take an empty one. A full disk loses it. */
export function noteChange(runs: string, name: string, key: string): void {
  // No run's name begins with a dot, and each run has one supervisor.
  const draft = join(runs, folder, `.${name}`);
  try {
    mkdirSync(join(runs, folder), { recursive: true, mode: 0o700 });
    writeFileSync(draft, key, { mode: 0o600 });
    renameSync(draft, join(runs, folder, name));
  } catch {
    return;
  }
}

export interface FollowedRuns {
  readonly home: string;
  readonly runs: string;
  all(): RunRef[];
  isStarting(name: string): Promise<boolean>;
}

/**
 * Yields changed runs until `signal` aborts, and all runs at the start and after a supervisor was killed. It polls the
 * ports of starting runs, because supervisors do not watch them.
 */
export async function* followChanges(followed: FollowedRuns, signal: AbortSignal): AsyncGenerator<RunRef> {
  const starts = followStarts(followed);
  const isAnyKilled = followSupervisors(followed.home);
  let isFirst = true;
  while (!signal.aborted) {
    const noted = takeNotes(followed.runs);
    const isUnsure = isAnyKilled(noted.length > 0) || isFirst;
    isFirst = false;
    const changed = [...noted, ...(isUnsure ? followed.all() : [])];
    for (const ref of changed) starts.add(ref);
    for (const ref of [...changed, ...starts.takeReady()]) yield ref;
    await sleep(pollEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Deletes each note before passing it on, so that a later change leaves a new one. */
function takeNotes(runs: string): RunRef[] {
  return namesIn(join(runs, folder)).flatMap((name) => {
    const named = runOfName(name);
    const key = named && takeNote(join(runs, folder, name));
    return named && key ? [{ ...named, key }] : [];
  });
}

/** An undeletable note would be passed on forever. */
function takeNote(path: string): string | undefined {
  try {
    const key = readFileSync(path, "utf8");
    rmSync(path);
    return key;
  } catch {
    return undefined;
  }
}

/** Lists supervisors each second and after each change, so that it notices even one that dies in its first second. */
function followSupervisors(home: string): (hasNews: boolean) => boolean {
  let knownIdentities = livingSupervisors(home);
  let nextAt = 0;
  return (hasNews) => {
    if (!hasNews && performance.now() < nextAt) return false;
    nextAt = performance.now() + supervisorsEveryMs;
    const isOneGone = !knownIdentities.every(isAlive);
    knownIdentities = livingSupervisors(home);
    return isOneGone;
  };
}

/** Longest pause between two probes of a starting run. */
const longestPauseMs = 2_000;

function followStarts({ isStarting }: FollowedRuns) {
  const pending = new Map<string, { readonly ref: RunRef; readonly since: number; nextAt: number }>();
  let ready: RunRef[] = [];
  const ask = async (name: string): Promise<void> => {
    const entry = pending.get(name);
    if (!entry || performance.now() < entry.nextAt) return;
    entry.nextAt = Number.POSITIVE_INFINITY;
    const isStillStarting = await isStarting(name).catch(() => true);
    const now = performance.now();
    entry.nextAt = now + Math.min((now - entry.since) / 4, longestPauseMs);
    if (isStillStarting || pending.get(name) !== entry) return;
    pending.delete(name);
    ready.push(entry.ref);
  };
  return {
    add: (ref: RunRef): void => {
      const now = performance.now();
      pending.set(runName(ref.uid, ref.run), { ref, since: now, nextAt: now });
    },
    takeReady: (): RunRef[] => {
      for (const name of pending.keys()) void ask(name);
      const taken = ready;
      ready = [];
      return taken;
    },
  };
}
