import { setTimeout as sleep } from "node:timers/promises";
import { CliError, exitCodes, QuietExit } from "../../failure.ts";
import { type Checkout, findCheckout, prepareHome } from "../../stack/checkout.ts";
import { findStackProcess, type StackProcess } from "../../stack/local-stack.ts";
import { lastLines, logSize, readLog } from "../../stack/stack-log.ts";
import { type SpawnedStack, spawnStack } from "../../stack/stack-process.ts";
import { endStarts, findStarts } from "../../stack/stack-starts.ts";
import { isInForeground, isRunning, type ProcessIdentity, signalProcess } from "../../state/process-identity.ts";
import { table } from "../../terminal/layout.ts";
import { interruptSignal, out, outJson, say } from "../../terminal/terminal.ts";
import { printableLog } from "../../terminal/text.ts";

interface JsonFlags {
  readonly json: boolean;
}

const startHint = "Start it again with: berth stack start";
const pollEveryMs = 100;
/** A first start also bundles the stack, which takes longer on a busy machine. */
const startWithinMs = 180_000;
const stopWithinMs = 30_000;

/** Starts the stack in the background. Does nothing if it runs. */
export async function start({ json }: JsonFlags): Promise<void> {
  const checkout = findCheckout();
  const signal = interruptSignal();
  prepareHome(checkout.home);
  const earlier = findStackProcess(checkout.home);
  if (earlier) return printStarted(checkout, earlier, "The stack runs already", json);
  const from = logSize(checkout.log);
  const child = spawnStack(checkout);
  const found = await untilReady(checkout, child, from, signal);
  child.forget();
  const isOwn = found.process.pid === child.pid;
  printStarted(checkout, found, isOwn ? "The stack runs" : "Another command started the stack", json);
}

async function untilReady(
  { home, log }: Checkout,
  child: SpawnedStack,
  from: number,
  signal: AbortSignal,
): Promise<StackProcess> {
  const end = performance.now() + startWithinMs;
  let isOthers = false;
  while (performance.now() < end && !signal.aborted) {
    if (child.wasStopped()) throw new CliError("Another command stopped the start", exitCodes.failed, startHint);
    const hasEnded = child.hasEnded();
    const found = findStackProcess(home);
    if (found && (hasEnded || found.process.pid === child.pid)) return found;
    // Another start has the home, and is not ready yet.
    isOthers ||= hasEnded && readLog(log, from).includes("Another local stack is using");
    if (hasEnded && !isOthers) throw startFailed(child, log, from);
    await sleep(pollEveryMs);
  }
  if (signal.aborted) {
    say("The start goes on in the background. See it with: berth stack status");
    throw new QuietExit(exitCodes.detached);
  }
  throw new CliError("The stack is not ready yet", exitCodes.timeout, "See why with: berth stack logs -f");
}

function startFailed(child: SpawnedStack, log: string, from: number): CliError {
  child.forget();
  say(printableLog(lastLines(readLog(log, from), 20)).trimEnd());
  return new CliError("The stack did not start", exitCodes.failed, `Its last lines are above. All are in ${log}`);
}

function printStarted({ home, log }: Checkout, found: StackProcess, words: string, json: boolean): void {
  if (json) outJson(described(home, log, found));
  if (!json) out(`${words} at ${found.stack.url}.\n`);
  say("Start a job with: berth up. Stop the stack with: berth stack stop");
}

function described(home: string, log: string, { stack: { url }, process: { pid } }: StackProcess) {
  return { running: true, url, home, pid, log };
}

/** Stops the stack, and a start of it that is under way. Its environments go on unless `all` is given. */
export async function stop({ all, json }: JsonFlags & { readonly all: boolean }): Promise<void> {
  const { home } = findCheckout();
  const signal = all ? "SIGTERM" : "SIGUSR2";
  const found = findStackProcess(home)?.process;
  if (found && isInForeground(found)) throw runsInTerminal(found, signal);
  const starts = endStarts(home, signal).filter(({ pid }) => pid !== found?.pid);
  if (found) signalProcess(found, signal);
  const stacks = [...(found ? [found] : []), ...starts];
  await Promise.all(stacks.map(untilEnded));
  if (json) return outJson({ running: false, home });
  if (stacks.length === 0) {
    say(`No stack runs in ${home}.`);
    if (all) say("To end environments that it left: berth stack start, then berth stack stop --all");
    return;
  }
  if (all) return out("Stopped, and ended its environments.\n");
  out("Stopped. Its environments go on, and the next start takes them over.\n");
}

/** Returns the refusal to stop a stack in a terminal, where Ctrl-C asks its user about the environments. */
function runsInTerminal({ pid }: ProcessIdentity, signal: "SIGTERM" | "SIGUSR2"): CliError {
  const hint = `Press Ctrl-C there, or run: kill -${signal.slice(3)} ${pid}`;
  return new CliError(`The stack (pid ${pid}) runs in a terminal, as npm start does`, exitCodes.failed, hint);
}

async function untilEnded(process: ProcessIdentity): Promise<void> {
  const end = performance.now() + stopWithinMs;
  while (isRunning(process)) {
    if (performance.now() > end) {
      throw new CliError(
        `The stack (pid ${process.pid}) has not stopped`,
        exitCodes.timeout,
        "See why with: berth stack logs",
      );
    }
    await sleep(pollEveryMs);
  }
}

/** Prints whether the stack runs. Fails if it does not, or does not answer. */
export async function status({ json }: JsonFlags): Promise<void> {
  const { home, log } = findCheckout();
  const found = findStackProcess(home);
  if (!found) {
    if (json) outJson({ running: false, home });
    const isStarting = findStarts(home).length > 0;
    if (!json) out(isStarting ? `A stack is starting in ${home}.\n` : `No stack runs in ${home}.\n`);
    throw new QuietExit(exitCodes.unreachable);
  }
  const isLive = await answers(found.stack.url);
  const { url, pid, ...rest } = described(home, log, found);
  if (json) outJson({ ...rest, url, pid, answers: isLive });
  if (!json)
    out(
      table([
        ["Address", url],
        ["State", isLive ? "ready" : "does not answer"],
        ["Process", String(pid)],
        ["Data", home],
      ]),
    );
  if (!isLive) throw new QuietExit(exitCodes.unreachable);
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/live`, { signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    return false;
  }
}
