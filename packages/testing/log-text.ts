import type { RunLog } from "#core/ports/run-log.ts";

/** The output of a run as text. */
export async function logText(log: Promise<RunLog>): Promise<string> {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode((await log).bytes);
}
