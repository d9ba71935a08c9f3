import { type BerthError, RateError } from "./errors.ts";
import { jobPath } from "./job-state.ts";
import { firstDelayMs, isOutage, longestDelayMs, longestOutageMs } from "./outage.ts";
import { sleep } from "./retry.ts";
import type { CallOptions, Transport } from "./transport.ts";

export interface LogsOptions extends CallOptions {
  /** Go on until the job ended. */
  readonly follow?: boolean | undefined;
  /** How many lines to begin with, 1 to 10,000. The server's default is 200. */
  readonly tail?: number | undefined;
  /**
   * Called once the server of a followed log does not answer, or asks for a pause, and again if one becomes the other. The
   * log continues where it was, for 10 minutes after the last answer.
   */
  readonly onOutage?: ((error: BerthError) => void) | undefined;
  /** Called once the server answers after an outage. */
  readonly onAnswer?: (() => void) | undefined;
  /** Called after the first answer, whose log may be empty. */
  readonly onFirstAnswer?: (() => void) | undefined;
  /** Wait for as long as the server does not answer, also for the first answer. */
  readonly isPatient?: boolean | undefined;
  /**
   * Awaited before each later read of a followed log, for example until a page is visible. A patient log awaits it before
   * the first read too.
   */
  readonly untilReady?: (() => Promise<void>) | undefined;
}

interface LogAnswer {
  readonly logs: string;
  /** Output between the cursor and `logs` is not kept any more. */
  readonly truncated: boolean;
  /** The cursor for the next read. */
  readonly next: string | number;
  readonly ended: boolean;
}

type LogQuery = Readonly<Record<string, string | number | undefined>>;

/** How long the server holds a read while there is nothing new. */
const waitSeconds = 20;

/** Yields the log so far, and with `follow` every later piece of it, by the server's cursor. */
export async function* followLogs(
  transport: Transport,
  id: string,
  { follow = false, tail, ...options }: LogsOptions,
): AsyncGenerator<string> {
  const { signal, isPatient } = options;
  const read = (query: LogQuery) => transport.send<LogAnswer>("GET", `${jobPath(id)}/logs`, { signal, query });
  let answer = follow && isPatient ? await throughOutage(() => read({ tail }), options) : await read({ tail });
  options.onFirstAnswer?.();
  if (answer.logs !== "") yield answer.logs;
  while (follow && !answer.ended) {
    const { next: after } = answer;
    answer = await throughOutage(() => read({ after, wait: waitSeconds }), options);
    if (answer.truncated) yield "\n[some output is not kept any more]\n";
    if (answer.logs !== "") yield answer.logs;
  }
}

/** Repeats a read while the server is away. */
async function throughOutage<Value>(
  read: () => Promise<Value>,
  { signal, onOutage, onAnswer, isPatient = false, untilReady }: LogsOptions,
): Promise<Value> {
  let outageMs = 0;
  let told: BerthError | undefined;
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    await untilReady?.();
    const startedAt = performance.now();
    try {
      const value = await read();
      if (told) onAnswer?.();
      return value;
    } catch (error) {
      if (!isOutage(error) || (!isPatient && outageMs > longestOutageMs)) throw error;
      if (!told || isPause(told) !== isPause(error)) onOutage?.(error);
      told = error;
      await sleep(delayMs, signal);
      outageMs += performance.now() - startedAt;
    }
  }
}

function isPause(error: BerthError): boolean {
  return error instanceof RateError;
}
