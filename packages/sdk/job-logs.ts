import { jobPath } from "./job-state.ts";
import type { CallOptions, Transport } from "./transport.ts";

export interface LogsOptions extends CallOptions {
  /** Go on until the job ended. */
  readonly follow?: boolean | undefined;
  /** How many lines to begin with, 1 to 10,000. The server's default is 200. */
  readonly tail?: number | undefined;
}

interface LogAnswer {
  readonly logs: string;
  /** Output between the cursor and `logs` is not kept any more. */
  readonly truncated: boolean;
  /** The cursor for the next read. */
  readonly next: string | number;
  readonly ended: boolean;
}

/** How long the server holds a read while there is nothing new. */
const waitSeconds = 20;

/** Yields the log so far, and with `follow` every later piece of it, by the server's cursor. */
export async function* followLogs(
  transport: Transport,
  id: string,
  { follow = false, tail, signal }: LogsOptions,
): AsyncGenerator<string> {
  const read = (query: Readonly<Record<string, string | number | undefined>>) => {
    return transport.send<LogAnswer>("GET", `${jobPath(id)}/logs`, { signal, query });
  };
  let answer = await read({ tail });
  if (answer.logs !== "") yield answer.logs;
  while (follow && !answer.ended) {
    answer = await read({ after: answer.next, wait: waitSeconds });
    if (answer.truncated) yield "\n[some output is not kept any more]\n";
    if (answer.logs !== "") yield answer.logs;
  }
}
