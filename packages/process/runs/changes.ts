import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunRef } from "#core/ports/compute.ts";
import { isAlive } from "../supervisor/process-identity.ts";
import { livingSupervisors } from "../supervisor/supervisor-place.ts";
import { runName, runOfName } from "./run-directory.ts";

/** Files of `runs/.changed` are named after runs that changed and hold the keys of their records. */
const folder = ".changed";
const pollEveryMs = 100;
const supervisorsEveryMs = 1_000;

/**
 * Leaves word that a run changed, whole or not at all: whoever takes a note that is still empty learns nothing from it,
 * and nobody else finds it. On a full disk nobody is told, and the run is looked at later.
 */
export function noteChange(runs: string, name: string, key: string): void {
  // No run has this name, and a run has one supervisor, so nobody else writes or takes it.
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
  /** Whether a run has begun and is not ready yet; asks its ports. */
  isStarting(name: string): Promise<boolean>;
}

/**
 * Runs that changed, until `signal` aborts: first all that there are, since nobody knows what was missed. A supervisor
 * that is killed tells nobody: then all runs may have changed. Nor does a run tell that its ports answer: they are asked.
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

/** Each note is taken away before it is passed on: what changes from then on leaves another. */
function takeNotes(runs: string): RunRef[] {
  return namesIn(join(runs, folder)).flatMap((name) => {
    const named = runOfName(name);
    const key = named && takeNote(join(runs, folder, name));
    return named && key ? [{ ...named, key }] : [];
  });
}

/** Nothing where it cannot be taken away: it would be passed on again and again. */
function takeNote(path: string): string | undefined {
  try {
    const key = readFileSync(path, "utf8");
    rmSync(path);
    return key;
  } catch {
    return undefined;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/**
 * Whether one of the supervisors that were there has ended since it was last asked. It is seen that they are there once a
 * second, and when a run has changed: one that began it only now may be killed before the second is over.
 */
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

/** The longest pause between two questions to the ports of a run that takes long to become ready. */
const longestPauseMs = 2_000;

/** Asks runs that have begun, less and less often, until they are ready or over. */
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
