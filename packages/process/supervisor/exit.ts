import { constants } from "node:os";
import { findText } from "../files.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface End {
  readonly exitCode: number | null;
  readonly reason: string | null;
}

export const killedFromOutside = "the environment's process was killed from outside";
export const supervisorFailed = "the environment could not be supervised any longer";
export const stackStopped = "The local stack was stopped";
export const deadlineExceeded = "DeadlineExceeded: the time limit of the environment was reached";
export const askedToStop = "stopped on request";

/** Codes above 128 count as signals: shells and bubblewrap report signals so (POSIX, Shell Command Language, 2.8.2). */
export function describeEnd(
  { code, signal }: Exit,
  options: { readonly hasCommand: boolean; readonly oomKills: number; readonly isOverLimit?: boolean },
): End {
  const name = signal ?? signalOfCode(code ?? 0);
  if (!options.hasCommand) return { exitCode: null, reason: killedFromOutside };
  if (name === undefined) return { exitCode: code, reason: null };
  return { exitCode: null, reason: `command was killed by signal ${name}${memoryWords(name, options)}` };
}

function memoryWords(signal: string, options: { readonly oomKills: number; readonly isOverLimit?: boolean }): string {
  if (signal !== "SIGKILL") return "";
  if (options.isOverLimit) return ": it used more memory than it may";
  return options.oomKills > 0 ? " while the machine was out of memory" : "";
}

/** Counts since boot; 0 if unknown. */
export function countOomKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(findText("/proc/vmstat") ?? "")?.[1] ?? 0);
}

function signalOfCode(code: number): string | undefined {
  const found = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return found?.[0];
}
