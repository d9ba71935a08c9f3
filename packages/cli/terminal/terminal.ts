import { exitCodes, QuietExit } from "../failure.ts";
import { wrapText } from "./layout.ts";
import { jsonText, printable, timeSpan } from "./text.ts";

const { stdout, stderr, env } = process;

/** Data for users and programs. */
export function out(text: string): void {
  stdout.write(text);
}

/** Prints an object of the API. */
export function outJson(value: unknown): void {
  stdout.write(`${jsonText(value)}\n`);
}

let isQuiet = env.BERTH_QUIET === "1";

/** Makes this command print only errors to standard error. The programs that it starts do not inherit this. */
export function beQuiet(): void {
  isQuiet = true;
}

/** Reports whether only errors go to standard error. */
export function wantsQuiet(): boolean {
  return isQuiet;
}

/** Messages for users. */
export function say(text: string): void {
  if (!isQuiet) sayError(text);
}

/** Begins a new line on a terminal, which may show a part of a log, or `^C`. */
export function startLine(): void {
  if (stderr.isTTY && !isQuiet) stderr.write("\n");
}

/** Prints an error, which --quiet does not hide. */
export function sayError(text: string): void {
  stderr.write(`${wrapped(text.split("\n").map(printable).join("\n"))}\n`);
}

/** Breaks lines between words where standard error is a terminal. */
export function wrapped(text: string): string {
  return stderr.isTTY ? wrapText(text, stderr.columns) : text;
}

/** Reports whether questions may be asked. */
export function isInteractive(): boolean {
  return Boolean(stderr.isTTY && process.stdin.isTTY);
}

/** Reports whether a line of the terminal may be rewritten. */
export function canRewriteLine(): boolean {
  return Boolean(stderr.isTTY) && env.TERM !== "dumb" && env.BERTH_ACCESSIBLE !== "1";
}

/** Reports whether standard output is a terminal that may be redrawn. */
export function canRedraw(): boolean {
  return Boolean(stdout.isTTY) && env.TERM !== "dumb" && env.BERTH_ACCESSIBLE !== "1";
}

/** Columns of the terminal on standard output. Unlimited in a pipe. */
export function outputColumns(): number {
  return stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY;
}

/** Returns a time as how long ago it was, or in how long it is. Other programs get it unchanged. */
export function shownTime(iso: string): string {
  const ms = Date.now() - Date.parse(iso);
  if (!stdout.isTTY || Number.isNaN(ms)) return iso;
  return ms < 0 ? `in ${timeSpan(-ms)}` : `${timeSpan(ms)} ago`;
}

/** Prints data in sentences, which a terminal shows without a broken word. */
export function printText(text: string): void {
  out(wrapText(text, outputColumns()));
}

/**
 * Returns a signal that Ctrl-C, SIGTERM and SIGHUP abort. A call that it ends makes the command end with the code of a
 * detached one. The second signal ends the process.
 */
export function interruptSignal(): AbortSignal {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(exitCodes.detached);
      abort.abort(new QuietExit(exitCodes.detached));
    });
  }
  return abort.signal;
}

/** Asks for a yes. Only for terminals. */
export async function confirm(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(`${question} [y/N] `));
}

/** Asks for a line. Ctrl-C ends the command, Ctrl-D is an empty line. */
export async function ask(question: string): Promise<string> {
  const { createInterface } = await import("node:readline");
  const lines = createInterface({ input: process.stdin, output: stderr });
  const answer = new Promise<string>((resolve, reject) => {
    lines.once("SIGINT", () => {
      stderr.write("\n");
      reject(new QuietExit(exitCodes.detached));
    });
    lines.once("close", () => resolve(""));
    lines.question(question, (line) => resolve(line.trim()));
  });
  return answer.finally(() => lines.close());
}

/** Reads all of standard input. */
export async function readInput(): Promise<string> {
  let text = "";
  for await (const part of process.stdin) text += String(part);
  return text;
}
