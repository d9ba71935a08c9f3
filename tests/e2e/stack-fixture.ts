import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ProcessIdentity, signalProcess } from "#process/supervisor/process-identity.ts";
import { canListProcesses, eventually, processesOfHome, type SeenProcess } from "./processes.ts";
import { runProgram } from "./program.ts";

/** `npm start` as a process of its own, in a home of its own, for tests. */
export interface StackFixture {
  readonly home: string;
  /** Starts the stack and waits for its ready line; throws what it printed when it ends before. */
  start(settings?: Settings, options?: StartOptions): Promise<StackProcess>;
  /** What of this home lives: stack, supervisor, environments. */
  processes(): SeenProcess[];
  /** Names of the runs that have a directory now. */
  runs(): string[];
  /** Stops what runs and throws when a process is left. The home is removed, where it is not to be kept. */
  close(options?: { readonly keepsHome: boolean }): Promise<void>;
}

export interface StackProcess {
  readonly url: string;
  /** All that it printed so far. */
  output(): string;
  /** What `npm run env` exports. */
  env(...words: string[]): Promise<Record<string, string>>;
  /** Signals it and resolves with its exit code once it is gone. */
  kill(signal: "SIGTERM" | "SIGINT" | "SIGUSR2" | "SIGKILL"): Promise<number | null>;
}

type Settings = Readonly<Record<string, string>>;

interface StartOptions {
  /** Words to put before the command line. */
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
      const [program = "", ...words] = [...under, process.execPath, "scripts/start.mjs"];
      const child = spawn(program, words, { cwd: root, env: environmentFor(home, settings) });
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
 * Removes the home of a stack that was stopped in this process, once nothing of it lives; throws when something is left.
 * A stop waits for 1.5 s, and goes on after that where a machine is busy: without its home it would find nothing to end.
 */
export async function removeHome(home: string): Promise<void> {
  const runs = new Set(namesIn(join(home, "runs")));
  await untilNothingLives(home, () => processesOfHome(home, runs));
  rmSync(home, { recursive: true });
}

/** The settings of a fixture, and nothing of Berth or AWS that whoever runs the tests has set. */
export function environmentFor(home: string, settings: Settings = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(AWS_|BERTH_|NODE_OPTIONS$|VITEST)/.test(name));
  return { ...Object.fromEntries(inherited), PORT: "0", BERTH_HOME: home, ...settings };
}

/** The names and values of lines like `export NAME='value'`. */
export function exportedIn(text: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(text.matchAll(/^export ([A-Z_]+)='([^']*)'$/gm), ([, name, value]) => [name, value]),
  );
}

function collect(child: ChildProcess): () => string {
  const parts: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part) => parts.push(String(part)));
  return () => parts.join("");
}

/** However long it takes: the time limit of the test ends one that hangs, and `close` prints what it said. */
async function untilReadyOrGone(child: ChildProcess, output: () => string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const poll = () => {
    if (output().includes("npm run --silent env")) resolve();
  };
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", poll);
  child.once("error", reject).once("close", () => resolve());
  await promise;
}

async function shellVariables(home: string, words: readonly string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await runProgram(process.execPath, ["scripts/env.ts", ...words], {
    cwd: root,
    env: environmentFor(home),
    // It has a limit of its own for what never comes; how long it takes besides says only how busy the machine is.
    timeout: 0,
  });
  if (code !== 0) throw new Error(stderr);
  return exportedIn(stdout);
}

/** The stack says who it is: under another program the child is that one. Until it has said so it is the child. */
async function kill(home: string, child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, "exit");
  const stack = saidProcess(home);
  if (stack === undefined || !signalProcess(stack, signal)) child.kill(signal);
  const [code] = await exited;
  return code;
}

/** It may be that of an earlier stack in this home, which is gone. */
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

/** A test that found something left does not leave it to the machine. What only looks at the home is not ours. */
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
