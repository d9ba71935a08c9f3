import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findProcess, isRunning, type ProcessIdentity, signalProcess } from "../state/process-identity.ts";
import { readState, writePrivate } from "../state/state.ts";

/** A stack that this command line spawned and that may not have written its own record yet. */
export interface StackStart {
  isNoted(): boolean;
  forget(): void;
}

/** Notes the process of a start in its home. Each start has a separate file, so two starts never hide each other. */
export function noteStart(home: string, pid: number): StackStart {
  const path = join(home, `start.${pid}`);
  const identity = findProcess(pid);
  if (identity) writePrivate(path, JSON.stringify(identity));
  return {
    isNoted: () => identity === undefined || readState(path) !== undefined,
    forget: () => rmSync(path, { force: true }),
  };
}

/** Returns the starts of a home that are under way. */
export function findStarts(home: string): ProcessIdentity[] {
  return noteFiles(home).flatMap((path) => {
    const process = readState(path) as ProcessIdentity | null | undefined;
    return process && isRunning(process) ? [process] : [];
  });
}

/** Signals the starts of a home and removes all notes. Returns the processes, which may take a while to end. */
export function endStarts(home: string, signal: NodeJS.Signals): ProcessIdentity[] {
  const starts = findStarts(home);
  for (const path of noteFiles(home)) rmSync(path, { force: true });
  for (const process of starts) signalProcess(process, signal);
  return starts;
}

function noteFiles(home: string): string[] {
  try {
    return readdirSync(home).flatMap((name) => (/^start\.\d+$/.test(name) ? [join(home, name)] : []));
  } catch {
    return [];
  }
}
