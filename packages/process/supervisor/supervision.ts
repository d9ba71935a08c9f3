import { statSync } from "node:fs";
import { type Mark, readMark } from "../runs/records.ts";
import { askedToStop, deadlineExceeded, type End, killedFromOutside, stackStopped } from "./exit.ts";
import { killTree, type ProcessTree, terminateTree } from "./process-tree.ts";

export interface Supervision {
  begin(tree: ProcessTree): void;
  /** Takes the due steps. Call this every `checkEveryMs`, and after a mark was set. It does nothing before `begin`. */
  check(): void;
  machineFailed(end: End): void;
  /** Ends the run as killed from outside, even if it only begins later. */
  kill(): void;
  close(): void;
  /** Returns the end of the run, unless its first machine's command decides it. */
  decidedEnd(): End | undefined;
}

interface Besides {
  check(): void;
  close(): void;
}

export const checkEveryMs = 1_000;
const graceMs = { deadline: 5_000, stopped: 500, killed: 500, sibling: 2_000 } as const;

export function supervise(directory: string, besides: Besides): Supervision {
  const mayHaveChanged = changesIn(directory);
  const marks = new Map<Mark, number | undefined>();
  let tree: ProcessTree | undefined;
  let decided: End | undefined;
  let killAt = Number.POSITIVE_INFINITY;
  let wasKilled = false;

  const end = (why: End, at: number): void => {
    if (!tree) return;
    if (!decided) {
      decided = why;
      besides.close();
      // Processes that this misses are killed at `killAt`.
      void terminateTree(tree).catch(() => undefined);
    }
    killAt = Math.min(killAt, at);
    killWhenDue();
  };
  const killWhenDue = (): void => {
    const restMs = killAt - Date.now();
    if (restMs <= 0 && tree) void killTree(tree, 1_000).catch(() => undefined);
    else if (restMs < checkEveryMs) setTimeout(killWhenDue, restMs).unref();
  };
  const check = (): void => {
    if (!tree) return;
    if (mayHaveChanged()) {
      for (const mark of ["removal", "termination", "stopped", "until"] as const)
        marks.set(mark, readMark(directory, mark));
      besides.check();
    }
    const now = Date.now();
    const [removal, termination] = [marks.get("removal"), marks.get("termination")];
    const [stopped, until] = [marks.get("stopped"), marks.get("until")];
    if (removal !== undefined) end(because(askedToStop), removal);
    if (termination !== undefined) end(because(askedToStop), termination);
    if (stopped !== undefined) end(because(stackStopped), stopped + graceMs.stopped);
    if (until !== undefined && until <= now) end(because(deadlineExceeded), now + graceMs.deadline);
    if (wasKilled) end(because(killedFromOutside), now + graceMs.killed);
    killWhenDue();
  };
  return {
    begin: (begun) => {
      tree = begun;
      check();
    },
    check,
    machineFailed: (failure) => {
      if (!decided) end(failure, Date.now() + graceMs.sibling);
    },
    kill: () => {
      wasKilled = true;
      check();
    },
    close: besides.close,
    decidedEnd: () => decided,
  };
}

/** As coarse as timestamps of file systems may be. */
const settledMs = 2_000;

/** Reports whether a file was added since the last call. One stat per second and run replaces reading every mark. */
function changesIn(directory: string): () => boolean {
  let seenAt: number | undefined;
  return () => {
    const at = statSync(directory, { throwIfNoEntry: false })?.mtimeMs;
    const isNew = at !== seenAt || at === undefined || Math.abs(Date.now() - at) < settledMs;
    seenAt = at;
    return isNew;
  };
}

function because(reason: string): End {
  return { exitCode: null, reason };
}
