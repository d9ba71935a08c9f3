import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";

/** Session of OpenSSH's client whose program gives its input back. */
export interface EchoSession {
  /** Sends words, and returns what comes back. Throws if the session ends instead. */
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
  const failed = ended.then(([code]) => {
    throw new Error(`The session ended with ${code}`);
  });
  failed.catch(() => undefined);
  const sayHere = (words: string) => Promise.race([say(session, words), failed]);
  await sayHere("hello\n");
  return { say: sayHere, close: () => session.stdin.end(), ended };
}

async function say({ stdin, stdout }: ChildProcessWithoutNullStreams, words: string): Promise<string> {
  stdin.write(words);
  const [part] = await once(stdout, "data");
  return String(part);
}
