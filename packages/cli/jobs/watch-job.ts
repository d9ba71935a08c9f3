import type { Berth } from "../../sdk/berth.ts";
import { isEnded } from "../../sdk/job-state.ts";
import type { Job } from "../../sdk/jobs.ts";
import { exitCodes, QuietExit } from "../failure.ts";
import { forgetJob } from "../state/job-entries.ts";
import { countColumns, wrapText } from "../terminal/layout.ts";
import { canRewriteLine, outJson, say, startLine } from "../terminal/terminal.ts";
import { jobWord, type NamedJob, statusLine } from "./job-words.ts";

export interface WatchOptions {
  readonly until: "active" | "ended";
  readonly json: boolean;
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
  /** Returns the error to throw after an abort. The default says how to come back to the job. */
  readonly onAbort?: (() => unknown) | undefined;
}

/**
 * Waits for a job and shows each change: as one JSON line on standard output, or in words on standard error. Ctrl-C
 * stops the wait and keeps the job.
 */
export async function watchJob(berth: Berth, job: Job, options: WatchOptions): Promise<Job> {
  const { until, json, timeoutMs, signal } = options;
  const line = liveLines();
  const show = (state: Job) => (json ? outJson(state) : line.show(statusLine(state)));
  try {
    const latest = await berth.jobs.wait(job.job_id, {
      until,
      timeoutMs,
      signal,
      onChange: show,
      onOutage: ({ message }) => line.show(`${message}; still waiting`),
    });
    if (isEnded(latest.status)) forgetJob(latest);
    return latest;
  } catch (error) {
    if (!signal.aborted) throw error;
    const isEndedLine = line.end();
    throw options.onAbort ? options.onAbort() : detached(job, isEndedLine);
  } finally {
    line.end();
  }
}

/** Says how to reattach to a job that continues, and how to end it. */
export function detached(job: NamedJob, isAtStart = false): QuietExit {
  const word = jobWord(job);
  if (!isAtStart) startLine();
  say(`Detached. The job goes on. Come back with: berth attach ${word}. End it with: berth end ${word}`);
  return new QuietExit(exitCodes.detached);
}

/** On a terminal the same lines are written again and again. Elsewhere each change is a line. */
function liveLines() {
  const { stderr } = process;
  let drawn: readonly string[] = [];
  let shown = "";
  return {
    show(text: string) {
      if (text === shown) return;
      shown = text;
      if (!canRewriteLine()) return say(text);
      const columns = stderr.columns ?? 80;
      const before = drawn.reduce((sum, line) => sum + getRows(line, columns), 0);
      // Behind the last word there is room for the `^C` of the terminal.
      drawn = wrapText(text, columns - 2).split("\n");
      stderr.write(`\r${before > 1 ? `\u001B[${before - 1}A` : ""}\u001B[J${drawn.join("\n")}`);
    },
    /** Reports whether there were lines to end. */
    end(): boolean {
      const isOpen = drawn.length > 0;
      if (isOpen) stderr.write("\n");
      drawn = [];
      return isOpen;
    },
  };
}

/** Terminals break lines again when they get narrower. */
function getRows(line: string, columns: number): number {
  return Math.max(1, Math.ceil(countColumns(line) / columns));
}
