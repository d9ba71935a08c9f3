import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Exec } from "#core/ports/exec.ts";
import { unlessRefused } from "../logs/output.ts";
import { openFifo } from "../logs/pipes.ts";
import { commandInside, type Inside, realDirectory, seenDirectory } from "../runs/inside.ts";
import type { Isolation } from "../runs/records.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";
import { findChild, type ProcessIdentity } from "../supervisor/process-identity.ts";
import type { ExecEnd } from "./exec-record.ts";
import { killSessions, signalSessions } from "./exec-session.ts";

interface ExecRequest {
  readonly exec: Exec;
  readonly inside: Inside;
  readonly directory: string;
  readonly takeFifo: () => Promise<string>;
}

type Ending = Pick<ExecEnd, "exitCode" | "timedOut">;

interface Running {
  /** Undefined if the start failed. */
  readonly leader: ProcessIdentity | undefined;
  /** By performance.now(). */
  readonly killAt: number;
  readonly ended: Promise<Ending>;
  /** Call this once. */
  finish(ending: Ending): ExecEnd;
}

/** Tells a shell's wrapper where to write its directory, as a descriptor that scripts are unlikely to use. */
const directoryVariable = "BERTH_DIRECTORY_FILE";
const directoryDescriptor = 19;
const directoryFile = "directory";
const graceMs = 200;
/** Exit code of `timeout` in coreutils. */
const timedOutCode = 124;
/** Exit code of a shell for a command that cannot run (POSIX, Shell Command Language, 2.8.2). */
const notRunnable = 126;

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

/** Closes the streams after a failed start, because this process lives on. */
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

/** PATH_MAX (limits.h) and a newline. The command may have written anything. */
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
  // With PWD set, a shell keeps the path with its symbolic links (POSIX, cd).
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

/** The variable is not exported, so only the wrapper's shell has it. */
function tellingWords(words: readonly string[]): readonly string[] {
  const [shell = "", option, script, ...rest] = words;
  if (option !== "-c" || !script?.includes(directoryVariable)) return words;
  return [shell, option, `${directoryVariable}=/dev/fd/${directoryDescriptor}; ${script}`, ...rest];
}

/** Opens the input as an unlinked file: it may be secret, and a command may open /dev/stdin again. */
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

/** Bytes kept of each stream (docs/apis/common.md#limits). */
const keptBytes = 1024 * 1024;

interface Capture {
  /** The command may open it again as /dev/stdout. */
  readonly descriptor: number;
  /** Call this once the command has inherited it, or never will. Repeated calls are safe. */
  closeDescriptor(): void;
  isOver(): boolean;
  /** Stops reading. Returns whether output was dropped. */
  finish(): boolean;
}

/** Output beyond the limit is read and dropped. */
function captureStream(path: string, file: string, isolation: Isolation): Capture {
  const kept = keepFirst(file);
  const { descriptor, pipe, takeRest } = openFifo(path, isolation, kept.add);
  let isOpen = true;
  return {
    descriptor,
    closeDescriptor: () => {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
    isOver: () => pipe.destroyed,
    finish: () => {
      takeRest();
      return kept.close();
    },
  };
}

function keepFirst(path: string): { add(bytes: Buffer): void; close(): boolean } {
  const file = openSync(path, "w", 0o600);
  let size = 0;
  return {
    add: (bytes) => {
      const room = Math.max(0, keptBytes - size);
      size += bytes.length;
      if (room > 0) unlessRefused(() => writeSync(file, bytes.subarray(0, room)));
    },
    close: () => {
      closeSync(file);
      return size > keptBytes;
    },
  };
}
