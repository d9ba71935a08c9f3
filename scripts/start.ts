import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fate } from "#local/activity/banner.ts";
import { closeInherited } from "#local/home/inherited-fds.ts";
import { printableError } from "#local/shell-text.ts";

closeInherited();
const choiceSeconds = 5;
const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const;
/** Runs the local stack until a signal stops it. SIGUSR2 leaves environments running. */
const signals = followStopSignals();
const isCompileOnly = process.argv.includes("--compile-only");
// Probes run in other processes, in parallel with the imports below.
const { findIsolation } = await import("#process/sandbox/sandbox-probe.ts");
const isElsewhere = process.env.COMPUTE === "kubernetes";
const isolation = isCompileOnly || isElsewhere ? undefined : findIsolation();
const [{ startStack }, { boundLog, stackOutput }, { loadCatalog }] = await Promise.all([
  import("#local/stack.ts"),
  import("#local/stack-output.ts"),
  import("#http/catalog.ts"),
]);
const catalog = await loadCatalog();
// Requested by start.mjs through bundle-stack.ts, to fill the compile cache.
if (isCompileOnly) process.exit(0);
// A closed log must not end environments (`npm start | head`).
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
const { output, stack } = await start().catch(fail);
output.started(stack, resolve(".berth"), await loginLink());

const signal = await signals.first;
const names = await Promise.race([stack.running(), sleep(300, undefined)]).catch(() => undefined);
const fate = await chooseFate();
// Enforces the promise that the stack is gone after 2 s. A cluster keeps its environments, and its server may be slow.
setTimeout(() => process.exit(1), stack.cluster ? 10_000 : 1_650).unref();
output.stopping(names, fate);
await (fate === "end" ? stack.stop() : stack.leave());
output.stopped(stack.home, fate);
process.exit(0);

type StopSignal = (typeof stopSignals)[number];

interface StopSignals {
  readonly first: Promise<StopSignal>;
  next(withinMs: number): Promise<StopSignal | undefined>;
}

function followStopSignals(): StopSignals {
  const { promise: first, resolve } = Promise.withResolvers<StopSignal>();
  let onSignal = resolve;
  for (const name of stopSignals) process.on(name, () => onSignal(name));
  return {
    first,
    next: (withinMs) =>
      new Promise((done) => {
        onSignal = done;
        setTimeout(done, withinMs, undefined);
      }),
  };
}

/** Returns the link for a person at the terminal. A file or pipe that keeps the output gets none. */
async function loginLink(): Promise<string | undefined> {
  const { isTTY } = process.env.LOG_FORMAT === "json" || !process.stdout.isTTY ? process.stderr : process.stdout;
  return isTTY ? stack.loginLink() : undefined;
}

/** Asks once on a terminal, so that an impatient second Ctrl-C does not lose work. */
async function chooseFate(): Promise<Fate> {
  if (stack.cluster) return "go on on the cluster";
  if (signal === "SIGUSR2") return "go on";
  const isTerminal = process.stdin.isTTY && (process.stdout.isTTY || process.stderr.isTTY);
  if (signal !== "SIGINT" || !isTerminal || names?.length === 0) return "end";
  // npm repeats the signal of the terminal.
  await sleep(250);
  output.asking(names, choiceSeconds);
  const next = await signals.next(choiceSeconds * 1000);
  return next === "SIGINT" || next === "SIGUSR2" ? "go on" : "end";
}

async function start() {
  const backgroundLog = join(process.env.BERTH_HOME || ".berth", "stack.log");
  const lines = boundLog(process.stdout, process.stdout.fd, backgroundLog);
  const written = stackOutput(process.env, { lines, notes: process.stderr });
  const { log, onNews } = written;
  const ending = new AbortController();
  void signals.first.then(() => ending.abort());
  const { signal } = ending;
  const options = { environment: process.env, log, onNews, catalog, isolation, signal };
  return { output: written, stack: await startStack(options) };
}

/** Waits for running probes, so that none of their processes is left. */
async function fail(error: unknown): Promise<never> {
  console.error(printableError(error));
  await isolation?.catch(() => undefined);
  process.exit(1);
}
