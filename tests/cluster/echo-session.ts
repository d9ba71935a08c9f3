import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";

/** Session of OpenSSH's client whose program gives its input back. */
export interface EchoSession {
  /** Sends words, and returns what comes back. */
  say(words: string): Promise<string>;
  /** Ends the input, and so the session. */
  close(): void;
  /** Exit code and signal of the client. */
  readonly ended: Promise<readonly unknown[]>;
}

/** Opens a session with these words of `ssh` up to the command, and waits until it answers. */
export async function openEchoSession(words: readonly string[]): Promise<EchoSession> {
  const session = spawn("ssh", [...words, "cat"]);
  session.stdin.on("error", () => undefined);
  const ended = once(session, "exit");
  await say(session, "hello\n");
  return { say: (words) => say(session, words), close: () => session.stdin.end(), ended };
}

async function say({ stdin, stdout }: ChildProcessWithoutNullStreams, words: string): Promise<string> {
  stdin.write(words);
  const [part] = await once(stdout, "data");
  return String(part);
}
