import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Exec } from "#core/ports/exec.ts";
import { commandInside, type Inside } from "../runs/inside.ts";
import type { Isolation } from "../runs/records.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";
import { findChild, type ProcessIdentity } from "../supervisor/process-identity.ts";
import { type Capture, captureStream } from "./exec-capture.ts";
import { realDirectory, seenDirectory } from "./exec-place.ts";
import type { ExecEnd } from "./exec-record.ts";
import { killSessions, signalSessions } from "./exec-session.ts";

export interface ExecRequest {
  readonly exec: Exec;
  readonly inside: Inside;
  /** Of the exec: its files go there. */
  readonly directory: string;
  readonly takeFifo: () => Promise<string>;
}

type Ending = Pick<ExecEnd, "exitCode" | "timedOut">;

/** A command that was started. */
export interface Running {
  /** Leads its session, also when it has ended; undefined when it could not be started. */
  readonly leader: ProcessIdentity | undefined;
  /** When nothing in its session may live any longer, by performance.now(). */
  readonly killAt: number;
  readonly ended: Promise<Ending>;
  /** Takes the output as it is now, once only. */
  finish(ending: Ending): ExecEnd;
}

/** What a shell's wrapper is told by this variable: a descriptor that no script is likely to use. */
const directoryVariable = "BERTH_DIRECTORY_FILE";
const directoryDescriptor = 19;
const directoryFile = "directory";
const graceMs = 200;
/** What `timeout` of coreutils answers. */
const timedOutCode = 124;
/** What a shell answers for a command that cannot be run (POSIX, Shell Command Language, 2.8.2). */
const notRunnable = 126;

/** Starts the command in a session of its own; at its deadline all of that session is killed. */
export async function startCommand(request: ExecRequest): Promise<Running> {
  const { exec, inside, directory } = request;
  const [out, err] = [await request.takeFifo(), await request.takeFifo()];
  const stdout = captureStream(out, join(directory, "stdout"), inside.isolation);
  const stderr = captureStream(err, join(directory, "stderr"), inside.isolation);
  const killAt = performance.now() + exec.timeoutMs + graceMs;
  const child = spawned(request, stdout, stderr);
  const leader = child.pid === undefined ? undefined : findChild(child.pid);
  const finish = (ending: Ending): ExecEnd => ({
    ...ending,
    stdoutCut: stdout.finish(),
    stderrCut: stderr.finish(),
    directory: seenDirectory(request.inside, takeDirectory(directory)),
  });
  const isQuiet = () => stdout.isOver() && stderr.isOver();
  return { leader, killAt, finish, ended: getEnding(child, exec.timeoutMs, leader, isQuiet) };
}

/** What could not be started leaves no descriptor open in this process, which lives on. */
function spawned(request: ExecRequest, stdout: Capture, stderr: Capture): ChildProcess {
  try {
    return spawnInside(request, stdout, stderr);
  } catch (error) {
    for (const stream of [stdout, stderr]) {
      stream.closeDescriptor();
      stream.finish();
    }
    throw error;
  }
}

/** More than the longest path and a line end (limits.h): the command may have written anything there. */
const mostDirectoryBytes = 4_096 + 2;

function takeDirectory(directory: string): string {
  const path = join(directory, directoryFile);
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(mostDirectoryBytes);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, mostDirectoryBytes, 0));
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

function spawnInside({ exec, inside, directory }: ExecRequest, stdout: Capture, stderr: Capture): ChildProcess {
  const work = exec.directory === undefined ? inside.work : realDirectory(inside, exec.directory);
  // A shell that is given PWD keeps the name it was entered by, where the path has links (POSIX, cd).
  const named = { ...inside.env, ...exec.env, PWD: work };
  const { file, args, env, cwd } = commandInside({ ...inside, work, env: named }, tellingWords(exec.words));
  const input = openInput(directory, exec.stdin, inside.isolation);
  const place = openSync(join(directory, directoryFile), "w+", 0o600);
  giveToRun(join(directory, directoryFile), inside.isolation);
  const streams = [input, stdout.descriptor, stderr.descriptor];
  const unused = Array.from({ length: directoryDescriptor - streams.length }, () => "ignore" as const);
  try {
    return spawn(file, args, { env, cwd, detached: true, stdio: [...streams, ...unused, place] });
  } finally {
    for (const descriptor of [input, place]) closeSync(descriptor);
    stdout.closeDescriptor();
    stderr.closeDescriptor();
  }
}

/** The wrapper's shell has the variable for itself: nothing that it starts inherits it. */
function tellingWords(words: readonly string[]): readonly string[] {
  const [shell = "", option, script, ...rest] = words;
  if (option !== "-c" || !script?.includes(directoryVariable)) return words;
  return [shell, option, `${directoryVariable}=/dev/fd/${directoryDescriptor}; ${script}`, ...rest];
}

/** A file without a name: what is given may be secret, and a command may open /dev/stdin again. */
function openInput(directory: string, text: string, isolation: Isolation): number {
  const path = join(directory, "stdin");
  writeFileSync(path, text, { mode: 0o600 });
  giveToRun(path, isolation);
  const input = openSync(path, "r");
  rmSync(path);
  return input;
}

function getEnding(
  child: ChildProcess,
  timeoutMs: number,
  leader: ProcessIdentity | undefined,
  isQuiet: () => boolean,
): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const timedOut = { exitCode: timedOutCode, timedOut: true };
  const leaders = leader ? [leader] : [];
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    signalSessions(leaders, "SIGTERM");
    setTimeout(() => {
      killSessions(leaders);
      resolve(timedOut);
    }, graceMs);
  }, timeoutMs);
  child.once("exit", (code, signal) => {
    if (isLate && !isQuiet()) return;
    clearTimeout(deadline);
    resolve(isLate ? timedOut : { exitCode: getCode(code, signal), timedOut: false });
  });
  child.once("error", () => {
    clearTimeout(deadline);
    resolve({ exitCode: notRunnable, timedOut: false });
  });
  return promise;
}

function getCode(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? (code ?? notRunnable) : 128 + constants.signals[signal];
}
