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
export async function terminalStream(
  { input, output, errors, ended, close }: PodSession,
  withinMs = GREETING_WITHIN_MS,
): Promise<Duplex> {
  errors.resume();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("The holder of the terminal is silent")), withinMs);
  try {
    await Promise.race([readGreeting(output), refusal(ended), late.promise]);
  } catch (error) {
    void close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const stream = Duplex.from({ writable: input, readable: output });
  // A destroyed one emits an AbortError.
  return stream.on("error", () => undefined).once("close", () => void close());
}

/** Takes all bytes at once: `readable` would fire for those that stay in the stream, again and again. */
async function readGreeting(output: Readable): Promise<void> {
  let bytes = Buffer.alloc(0);
  while (bytes.length < GREETING.length) {
    const part = output.read() as Buffer | null;
    if (part) bytes = Buffer.concat([bytes, part]);
    else await once(output, "readable");
  }
  if (bytes.toString("latin1", 0, GREETING.length) !== GREETING) throw new NoTerminal("unsupported");
  if (bytes.length > GREETING.length) output.unshift(bytes.subarray(GREETING.length));
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
