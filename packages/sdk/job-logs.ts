import { isEnded, jobPath } from "./job-state.ts";
import type { Jobs } from "./jobs.ts";
import { sleep } from "./retry.ts";
import type { CallOptions, Transport } from "./transport.ts";

export interface LogsOptions extends CallOptions {
  /** Go on until the job ended. */
  readonly follow?: boolean | undefined;
  /** How many lines to begin with, 1 to 10,000. The server's default is 200. */
  readonly tail?: number | undefined;
}

interface LogAnswer {
  readonly logs: string;
  readonly truncated: boolean;
}

/** How often a followed log is read. */
const pollMs = 700;

/** Yields the log so far, and with `follow` every later piece of it. */
export async function* followLogs(
  transport: Transport,
  jobs: Jobs,
  id: string,
  { follow = false, tail, signal }: LogsOptions,
): AsyncGenerator<string> {
  const read = async (lines: number | undefined) => {
    const query = { tail: lines };
    return (await transport.send<LogAnswer>("GET", `${jobPath(id)}/logs`, { signal, query })).logs;
  };
  if (!follow) {
    yield await read(tail);
    return;
  }
  let shown = await read(mostLines);
  yield lastLines(shown, tail ?? usualLines);
  for (;;) {
    // The status is read first, so that the last read of the log comes after the end.
    const { status } = await jobs.get(id, { signal });
    const log = await read(mostLines);
    const rest = newText(shown, log);
    shown = log;
    if (rest !== "") yield rest;
    if (isEnded(status)) return;
    await sleep(pollMs, signal);
  }
}

const mostLines = 10_000;
const usualLines = 200;

function lastLines(text: string, count: number): string {
  const lines = text.split(/(?<=\n)/);
  return lines.slice(-count).join("");
}

const probeLength = 64;

/**
 * Returns what a log gained since `shown`. Both are ends of the same log, so a part of `shown` up to its end is where
 * `log` begins, unless more was printed since than one read returns.
 */
export function newText(shown: string, log: string): string {
  const probe = log.slice(0, probeLength);
  for (let at = shown.indexOf(probe); probe !== "" && at >= 0; at = shown.indexOf(probe, at + 1)) {
    if (log.startsWith(shown.slice(at))) return log.slice(shown.length - at);
  }
  if (shown === "" || log.startsWith(shown)) return log.slice(shown.length);
  return `\n[some output was not read in time]\n${log}`;
}
