import { once } from "node:events";
import { Duplex, type Readable } from "node:stream";
import { ApiUnreachable } from "#kubernetes/client/api-error.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { NoTerminal, type WantedWebTerminal } from "../ports/reach.ts";

/** What images/tools/holder prints once it is connected to the terminal. */
const GREETING = "open\n";
const GREETING_WITHIN_MS = 20_000;

/** Exit codes of images/tools/holder (shared.go). All others mean that the pod has no terminals. */
const reasons: Readonly<Record<number, NoTerminal["reason"]>> = { 66: "gone", 73: "tooMany" };

/** Returns words that open a terminal with this program in it, or that find one. */
export function holderWords({ id, isNew, columns, lines }: WantedWebTerminal, program: readonly string[]): string[] {
  const words = isNew ? ["open", id, String(columns), String(lines), ...program] : ["join", id];
  return ["/.berth/holder", ...words];
}

/** Returns the frames of a session of the holder, once it is connected. The user of a pod may replace the holder. */
export async function terminalStream({ input, output, errors, ended, close }: PodSession): Promise<Duplex> {
  errors.resume();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("The holder of the terminal is silent")), GREETING_WITHIN_MS);
  try {
    await Promise.race([readGreeting(output), refusal(ended), late.promise]);
  } catch (error) {
    void close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return Duplex.from({ writable: input, readable: output }).once("close", () => void close());
}

async function readGreeting(output: Readable): Promise<void> {
  for (;;) {
    const greeting = output.read(GREETING.length) as Buffer | null;
    if (greeting === null) await once(output, "readable");
    else if (String(greeting) === GREETING) return;
    else throw new NoTerminal("unsupported");
  }
}

/** Rejects once the program has ended. */
async function refusal(ended: Promise<number>): Promise<never> {
  const exitCode = await ended.catch((error: unknown) => {
    if (error instanceof ApiUnreachable) throw error;
    // The image has no shell.
    throw new NoTerminal("unsupported");
  });
  throw new NoTerminal(reasons[exitCode] ?? "unsupported");
}
