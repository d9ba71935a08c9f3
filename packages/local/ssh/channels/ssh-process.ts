import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import type { ServerChannel } from "ssh2";
import { commandInside, type Inside } from "#process/runs/inside.ts";
import {
  findProcess,
  hasExited,
  type ProcessStatus,
  signalChildGroup,
  signalProcess,
} from "#process/supervisor/process-identity.ts";
import type { Started } from "./ssh-runs.ts";

export function startProcess(
  channel: ServerChannel,
  inside: Inside,
  words: readonly string[],
  mark: (pid: number | undefined) => void,
): Started {
  const { file, args, env, cwd } = commandInside(inside, words);
  const child = spawn(file, args, { env, cwd, detached: true, stdio: "pipe" });
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.pipe(child.stdin);
  for (const stream of [child.stdin, child.stdout, child.stderr, channel]) stream.on("error", () => undefined);
  child.once("error", () => finish(channel, 255, null));
  child.once("close", (code, signal) => finish(channel, code, signal));
  channel.once("close", () => {
    signalChildGroup(child, "SIGHUP");
    // As with sshd, a program that ignores SIGHUP gets closed pipes; otherwise its writes would block forever.
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  });
  // The client reads no more: the program's next write fails, as on a closed pipe.
  channel.once("eow", () => child.stdout.destroy());
  mark(child.pid);
  return { resize: () => undefined, signal: (name) => signalProgram(child, inside, name) };
}

function finish(channel: ServerChannel, code: number | null, signal: NodeJS.Signals | null): void {
  if (code === null && signal !== null) channel.exit(signal.slice("SIG".length));
  else channel.exit(code ?? 255);
  // End stderr first: ending the channel would cut off its pending output.
  channel.stderr.end(() => channel.end());
}

function signalProgram(child: ChildProcess, { sandbox }: Inside, name: NodeJS.Signals): void {
  if (!sandbox) signalChildGroup(child, name);
  else if (child.pid !== undefined && !hasExited(child)) void signalGuests(child.pid, name).catch(() => undefined);
}

async function signalGuests(group: number, name: NodeJS.Signals): Promise<void> {
  for (const guest of await findGuests(group)) signalProcess(guest, name);
}

/** Programs that wait for their child inside. A signal that the child handles would end them. */
const wrappers: ReadonlySet<string> = new Set(["nsenter", "bwrap"]);

async function findGuests(group: number): Promise<ProcessStatus[]> {
  return (await listed()).filter((found) => found.group === group && !wrappers.has(formatName(found.pid)));
}

const listed = shared(listProcesses);

/**
 * Deduplicates calls of a costly function, because clients choose how often they send signals. A call during a run
 * gets the result of the next run, which all calls until then share.
 */
export function shared<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<Result> | undefined;
  const start = () => {
    next = undefined;
    return run();
  };
  return () => {
    next ??= running.then(start, start);
    running = next;
    return next;
  };
}

const SLICE = 64;

async function listProcesses(): Promise<ProcessStatus[]> {
  const found: ProcessStatus[] = [];
  for (const [count, name] of (await readdir("/proc")).entries()) {
    if (count % SLICE === 0) await setImmediate();
    const status = /^\d+$/.test(name) ? findProcess(Number(name)) : undefined;
    if (status) found.push(status);
  }
  return found;
}

function formatName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
