import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { shellEnvironment } from "#local/shell-environment.ts";
import { type ProcessIdentity, signalProcess } from "#process/supervisor/process-identity.ts";
import { canListProcesses, eventually, processesOfHome, type SeenProcess } from "./processes.ts";
import { runProgram } from "./program.ts";

/** `npm start` as a separate process with its own home. */
export interface StackFixture {
  readonly home: string;
  /** Starts the stack and waits for its ready line. Throws with its output if it ends first. */
  start(settings?: Settings, options?: StartOptions): Promise<StackProcess>;
  /** Lists the living processes of this home: stack, supervisor, environments. */
  processes(): SeenProcess[];
  /** Returns the names of the runs with a directory. */
  runs(): string[];
  /** Stops everything, and removes the home unless it is to be kept. Throws if a process is left. */
  close(options?: { readonly keepsHome: boolean }): Promise<void>;
}

export interface StackProcess {
  readonly url: string;
  /** Returns the output so far. */
  output(): string;
  /** Returns the variables that `npm run env` exports. */
  env(...words: string[]): Promise<Record<string, string>>;
  /** Sends a signal, and resolves with the exit code once the stack is gone. */
  kill(signal: "SIGTERM" | "SIGINT" | "SIGUSR2" | "SIGKILL"): Promise<number | null>;
}

type Settings = Readonly<Record<string, string>>;

interface StartOptions {
  /** Words before the command line. */
  readonly under?: readonly string[];
}

export const root = join(import.meta.dirname, "../..");

export function openStackFixture(prefix = "berth-e2e-", place = tmpdir()): StackFixture {
  const home = mkdtempSync(join(place, prefix));
  const children: ChildProcess[] = [];
  const outputs: (() => string)[] = [];
  const starting = new Map<ChildProcess, () => string>();
  const runs = () => namesIn(join(home, "runs"));
  // Environments on a cluster outlive their stack.
  const saidRuns = () => (process.env.COMPUTE === "kubernetes" ? [] : outputs.flatMap((output) => runsIn(output())));
  const processes = () => processesOfHome(home, new Set([...runs(), ...saidRuns()]));
  return {
    home,
    runs,
    processes,
    async start(settings = {}, { under = [] } = {}) {
      const child = startProcess(under, environmentFor(home, settings));
      const output = collect(child);
      children.push(child);
      outputs.push(output);
      starting.set(child, output);
      await untilReadyOrGone(child, output);
      starting.delete(child);
      const [, url] = /^Berth listens on (\S+) /m.exec(output()) ?? [];
      if (url === undefined) throw new Error(output());
      return { url, output, env: (...more) => shellVariables(home, more), kill: (signal) => kill(home, child, signal) };
    },
    async close({ keepsHome } = { keepsHome: false }) {
      for (const output of starting.values()) process.stdout.write(`Never ready:\n${output()}\n`);
      const living = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
      await Promise.all(living.map((child) => kill(home, child, "SIGTERM")));
      await untilNothingLives(home, processes);
      if (!keepsHome) rmSync(home, { recursive: true });
    },
  };
}

/**
 * Removes the home of a stack that was stopped in this process, once none of its processes lives. Throws if one is
 * left. On a busy machine, a stop continues after its 1.5 s, and needs the home to find processes.
 */
export async function removeHome(home: string): Promise<void> {
  const runs = new Set(namesIn(join(home, "runs")));
  await untilNothingLives(home, () => processesOfHome(home, runs));
  rmSync(home, { recursive: true });
}

/** Returns an environment with these settings, without variables of Berth or AWS from outside. */
export function environmentFor(home: string, settings: Settings = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(AWS_|BERTH_|NODE_OPTIONS$|VITEST)/.test(name));
  return { ...Object.fromEntries(inherited), PORT: "0", BERTH_HOME: home, ...settings };
}

/** Returns names and values of lines such as `export NAME='value'`. */
export function exportedIn(text: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(text.matchAll(/^export ([A-Z_]+)='([^']*)'$/gm), ([, name, value]) => [name, value]),
  );
}

/** A stack without words before its command line ends with this process, however this one ends. */
function startProcess(under: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const [program, ...words] = under;
  const start = "scripts/start.mjs";
  if (program !== undefined) return spawn(program, [...words, process.execPath, start], { cwd: root, env });
  const ending = join(import.meta.dirname, "end-with-parent.mjs");
  return spawn(process.execPath, ["--import", ending, start], {
    cwd: root,
    env,
    stdio: ["pipe", "pipe", "pipe", "ipc"],
  });
}

function collect(child: ChildProcess): () => string {
  const parts: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part) => parts.push(String(part)));
  return () => parts.join("");
}

/** Waits until the stack is ready or gone. The limit of the test ends one that hangs, and `close` prints its output. */
async function untilReadyOrGone(child: ChildProcess, output: () => string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const poll = () => {
    if (output().includes("npm run --silent env")) resolve();
  };
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", poll);
  child.once("error", reject).once("close", () => resolve());
  await promise;
}

/** Without words, this process does what `npm run env` does, because each start of a program takes 0.2 s. */
async function shellVariables(home: string, words: readonly string[]): Promise<Record<string, string>> {
  if (words.length === 0) return exportedIn(await shellEnvironment({ home, fresh: false }));
  const { code, stdout, stderr } = await runProgram(process.execPath, ["scripts/env.ts", ...words], {
    cwd: root,
    env: environmentFor(home),
    // The command has its own limit. Its duration depends on how busy the machine is.
    timeout: 0,
  });
  if (code !== 0) throw new Error(stderr);
  return exportedIn(stdout);
}

/** Signals the stack by the process id that it reports, because the child may be another program around it. */
async function kill(home: string, child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, "exit");
  const stack = saidProcess(home);
  if (stack === undefined || !signalProcess(stack, signal)) child.kill(signal);
  const [code] = await exited;
  return code;
}

/** Returns the reported process, which may be that of an earlier stack in this home. */
function saidProcess(home: string): ProcessIdentity | undefined {
  const path = join(home, "stack.json");
  return existsSync(path)
    ? (JSON.parse(readFileSync(path, "utf8")) as { process: ProcessIdentity }).process
    : undefined;
}

async function untilNothingLives(home: string, processes: () => SeenProcess[]): Promise<void> {
  if (!canListProcesses) return;
  await eventually(processes, (left) => left.length === 0).finally(() => endAll(home, processes()));
}

/** Ends processes that are left. Processes that only name the home are not ours. */
function endAll(home: string, left: readonly SeenProcess[]): void {
  for (const seen of left) {
    const { environment } = seen;
    const isOurs = environment.has("BERTH_RUN") || environment.has("NODE_COMPILE_CACHE");
    if (isOurs || environment.get("BERTH_HOME") === home) signalProcess(seen, "SIGKILL");
  }
}

function runsIn(output: string): string[] {
  return Array.from(
    output.matchAll(/"uid":"([0-9a-f]{32})","phase":"\w+","run":(\d+)/g),
    ([, uid, run]) => `${uid}-r${run}`,
  );
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^[0-9a-f]{32}-r\d+$/.test(name));
  } catch {
    return [];
  }
}
