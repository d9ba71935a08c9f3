import type { ExecKeeper } from "./exec-keeper.ts";
import { askedToStop, deadlineExceeded, type End, killedFromOutside, stackStopped } from "./exit.ts";
import type { JupyterKeeper } from "./jupyter.ts";
import { killTree, type ProcessTree, terminateTree } from "./process-tree.ts";
import { readMark } from "./records.ts";

/** Watches over a run on behalf of those who cannot be there: the marks in its directory, and its own end. */
export interface Supervision {
  begin(tree: ProcessTree): void;
  /** One machine failed: the others cannot go on. */
  machineFailed(end: End): void;
  /** The run is over: nothing is begun in it any more. */
  close(): void;
  /** How the run ended, where something other than its first machine's command decided that. */
  decidedEnd(): End | undefined;
}

const marks = ["removal", "stopped", "until"] as const;
const lookEveryMs = 1_000;
const graceMs = { deadline: 5_000, stopped: 500, killed: 500, sibling: 2_000 } as const;

/** From the call on, a mark may be set and SIGUSR2 sent; they are obeyed once it has begun. */
export function supervise(directory: string, jupyter: JupyterKeeper, execs: Pick<ExecKeeper, "close">): Supervision {
  let tree: ProcessTree | undefined;
  let decided: End | undefined;
  let killAt = Number.POSITIVE_INFINITY;

  const close = (): void => {
    jupyter.close();
    execs.close();
  };
  const end = (why: End, at: number): void => {
    if (!tree) return;
    if (!decided) {
      decided = why;
      close();
      void terminateTree(tree);
    }
    killAt = Math.min(killAt, at);
    killWhenDue();
  };
  const killWhenDue = (): void => {
    const restMs = killAt - Date.now();
    if (restMs <= 0 && tree) void killTree(tree, 1_000);
    else if (restMs < lookEveryMs) setTimeout(killWhenDue, restMs).unref();
  };
  const look = (): void => {
    const now = Date.now();
    const [removal, stopped, until] = marks.map((mark) => readMark(directory, mark));
    if (removal !== undefined) end(because(askedToStop), removal);
    if (stopped !== undefined) end(because(stackStopped), stopped + graceMs.stopped);
    if (until !== undefined && until <= now) end(because(deadlineExceeded), now + graceMs.deadline);
    killWhenDue();
    jupyter.look();
  };

  process.on("SIGUSR2", look);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => end(because(killedFromOutside), Date.now() + graceMs.killed));
  }
  return {
    begin: (begun) => {
      tree = begun;
      setInterval(look, lookEveryMs).unref();
      look();
    },
    machineFailed: (failure) => {
      if (!decided) end(failure, Date.now() + graceMs.sibling);
    },
    close,
    decidedEnd: () => decided,
  };
}

function because(reason: string): End {
  return { exitCode: null, reason };
}
