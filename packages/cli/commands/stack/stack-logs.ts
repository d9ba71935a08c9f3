import { setTimeout as sleep } from "node:timers/promises";
import { CliError, exitCodes, QuietExit } from "../../failure.ts";
import { findCheckout } from "../../stack/checkout.ts";
import { lastLines, logSize, readLog } from "../../stack/stack-log.ts";
import { interruptSignal, out, outJson } from "../../terminal/terminal.ts";
import { printableLog } from "../../terminal/text.ts";

interface LogsFlags {
  readonly follow: boolean;
  readonly tail?: number;
  readonly json: boolean;
}

const pollEveryMs = 300;

/** Prints the log of the stack that runs, or ran last, in the background. */
export async function logs({ follow, tail = 200, json }: LogsFlags): Promise<void> {
  const { log } = findCheckout();
  const signal = interruptSignal();
  let from = logSize(log);
  if (from === 0 && !follow) {
    const hint = "Start one with: berth stack start. A stack of npm start prints its log where it runs.";
    throw new CliError("No stack was started in the background here", exitCodes.notFound, hint);
  }
  show(lastLines(readLog(log, 0, from), tail), json);
  while (follow) {
    await sleep(pollEveryMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) throw new QuietExit(exitCodes.detached);
    const size = logSize(log);
    show(readLog(log, from, size), json);
    from = size;
  }
}

/** A file or another program gets the bytes as they are. A terminal would obey them. */
function show(text: string, json: boolean): void {
  if (!json) out(process.stdout.isTTY ? printableLog(text) : text);
  if (json && text !== "") outJson({ logs: text });
}
