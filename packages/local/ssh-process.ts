import { type ChildProcess, spawn } from "node:child_process";
import type { ServerChannel } from "ssh2";
import { commandInside, type Inside } from "#process/inside.ts";

/** Runs a command without a terminal: its three streams, and how it ended. It is hung up on when its client goes. */
export function startProcess(
  channel: ServerChannel,
  inside: Inside,
  words: readonly string[],
  mark: (pid: number | undefined) => void,
): void {
  const { file, args, env, cwd } = commandInside(inside, words);
  const child = spawn(file, args, { env, cwd, detached: true, stdio: "pipe" });
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.pipe(child.stdin);
  for (const stream of [child.stdin, child.stdout, child.stderr, channel]) stream.on("error", () => undefined);
  child.once("error", () => finish(channel, 255, null));
  child.once("close", (code, signal) => finish(channel, code, signal));
  channel.once("close", () => hangUp(child));
  mark(child.pid);
}

function finish(channel: ServerChannel, code: number | null, signal: NodeJS.Signals | null): void {
  if (code === null && signal !== null) channel.exit(signal.slice("SIG".length));
  else channel.exit(code ?? 255);
  channel.end();
}

function hangUp({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, "SIGHUP");
  } catch {
    return;
  }
}
