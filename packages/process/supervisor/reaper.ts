import { killSessions } from "../exec/exec-session.ts";
import type { Running } from "../exec/exec-start.ts";

/** Kills what commands left behind in their sessions once their time is up. */
export interface Reaper {
  /** `run`: any name for what it belongs to. */
  add(run: string, command: Running): void;
  /** All that is left of this run, now. */
  killAll(run: string): void;
}

const everyMs = 250;

/** One look at all processes serves every command whose time is up, whichever run it was of. */
export function reapLeftovers(): Reaper {
  const left = new Map<Running, string>();
  const reap = (isDue: (command: Running, run: string) => boolean) => {
    const due = [...left].filter(([command, run]) => isDue(command, run)).map(([command]) => command);
    for (const command of due) left.delete(command);
    killSessions(due.flatMap(({ leader }) => leader ?? []));
  };
  setInterval(() => left.size > 0 && reap(({ killAt }) => killAt <= performance.now()), everyMs).unref();
  return {
    add: (run, command) => void left.set(command, run),
    killAll: (run) => reap((_, its) => its === run),
  };
}
