import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { CliError, exitCodes } from "../failure.ts";
import type { SshTarget } from "../ssh/ssh-target.ts";
import { shellWord } from "../terminal/text.ts";

/** ssh could not get in, or lost the connection. Another try may succeed. */
export class ConnectionLost extends Error {}

/** Exit codes of ssh and rsync that tell of the connection and not of the work. */
const lostCodes: ReadonlySet<number> = new Set([255, 10, 12, 30, 35]);

/** Returns the words of an ssh command that runs a script of ours in a job. Its arguments reach it as they are. */
function sshWords(target: SshTarget, script: string, args: readonly string[]): string[] {
  const { user, host, port, options } = target;
  const remote = ["exec sh -c", ...[script, "sh", ...args].map(shellWord)].join(" ");
  return [...options, "-o", "BatchMode=yes", "-p", port, "--", `${user}@${host}`, remote];
}

/** Starts a script in a job. Ctrl-C does not reach ssh, so this process decides what becomes of it. */
export function startScriptIn(
  target: SshTarget,
  script: string,
  args: readonly string[] = [],
): ChildProcessWithoutNullStreams {
  return spawn("ssh", sshWords(target, script, args), { stdio: "pipe", detached: true });
}

/** Runs a script in a job and returns what it printed behind the mark. */
export async function askScript(
  target: SshTarget,
  { script, args = [], input = "", signal }: ScriptCall,
  mark = "",
): Promise<string[]> {
  const child = startScriptIn(target, script, args);
  const parts: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  await ended(child, "ssh", signal);
  const text = Buffer.concat(parts).toString();
  const at = text.indexOf(`\n${mark}\n`);
  return at < 0 ? [] : text.slice(at + mark.length + 2).split("\n");
}

interface ScriptCall {
  readonly script: string;
  readonly args?: readonly string[];
  readonly input?: string;
  readonly signal: AbortSignal;
}

/** rsync's code for files that went away while it ran. */
const vanished = 24;

/** Waits for a process to succeed. Throws a `ConnectionLost` if another try may succeed. */
export async function ended(child: ChildProcess, program: string, signal: AbortSignal): Promise<void> {
  const { code, words } = await end(child, program, signal);
  if (code === 0 || (program === "rsync" && code === vanished)) return;
  if (lostCodes.has(code)) throw new ConnectionLost(words);
  throw new CliError(words, exitCodes.failed, "Look at the job with: berth ssh");
}

interface End {
  readonly code: number;
  /** The last line of the program on standard error, else its exit code. */
  readonly words: string;
}

const mostWords = 2000;

/** Waits for a process. Ends it once the signal is aborted, and throws the signal's reason. */
export function end(child: ChildProcess, program: string, signal: AbortSignal): Promise<End> {
  let printed = "";
  child.stderr?.on("data", (part) => {
    printed = (printed + String(part)).slice(-mostWords);
  });
  return new Promise((resolve, reject) => {
    const stop = () => void child.kill("SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    child.once("error", () =>
      reject(new CliError(`There is no ${program} on the PATH`, exitCodes.failed, "Install it")),
    );
    child.once("close", (code) => {
      signal.removeEventListener("abort", stop);
      const words = printed.trim().replace(/\s*\n\s*/g, "; ");
      if (signal.aborted) reject(signal.reason);
      else resolve({ code: code ?? 255, words: words === "" ? `${program} ended with ${code}` : words });
    });
  });
}
