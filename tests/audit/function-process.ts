import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** An event and the time at which the function receives it (ms since the epoch). */
export interface Call {
  readonly event: unknown;
  readonly now: number;
}

export interface Called {
  readonly value?: unknown;
  readonly error?: string;
  readonly lines: readonly LogLine[];
}

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly text: string;
}

/** Time for background work after the last answer. */
const LONGEST_AFTER_MS = 5_000;

/**
 * Calls the bundle of a function (`gpu-dev/jobs/cancel`) with each event in turn, in a separate process with only these
 * variables. Returns when the process has nothing left to do. Throws if the bundle does not load.
 */
export async function callFunction(
  name: string,
  environment: Readonly<Record<string, string>>,
  calls: readonly Call[],
): Promise<Called[]> {
  const bundle = fileURLToPath(new URL(`../../dist/${name}/index.mjs`, import.meta.url));
  const runner = fileURLToPath(new URL("function-process.mjs", import.meta.url));
  const child = fork(runner, [bundle], { env: { ...environment }, execArgv: [], silent: true });
  let failed = "";
  child.stderr?.on("data", (part) => (failed += part));
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${name} ended with ${code}: ${failed.slice(-1500)}`);
  });
  ended.catch(() => undefined);
  const next = async () => (await Promise.race([once(child, "message"), ended]))[0];
  try {
    await next();
    const answers: Called[] = [];
    for (const call of calls) {
      const answered = next();
      child.send(call);
      const { said, ...answer } = await answered;
      answers.push({ ...answer, lines: listLines(said) });
    }
    const over = once(child, "exit");
    child.disconnect();
    await Promise.race([over, sleep(LONGEST_AFTER_MS, undefined, { ref: false })]);
    return answers;
  } finally {
    child.kill("SIGKILL");
  }
}

/** Parses the function's log lines. Its other output is metrics. */
function listLines(said: string): LogLine[] {
  return said.split("\n").flatMap((text) => {
    const line = text.startsWith("{") ? JSON.parse(text) : {};
    return typeof line.level === "string" ? [{ level: line.level, event: String(line.event), text }] : [];
  });
}
