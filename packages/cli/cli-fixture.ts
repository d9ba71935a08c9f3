import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStackFixture, type StackFixture, type StackProcess } from "../../tests/e2e/stack-fixture.ts";
import { Berth } from "../sdk/berth.ts";

export interface CliAnswer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliAnswer>;
  /** Returns the output so far. */
  soFar(): { readonly stdout: string; readonly stderr: string };
  /** Resolves once standard error or output holds the text. */
  says(text: string | RegExp): Promise<void>;
}

/** The command line as a process with its own state directory. */
export interface CliFixture {
  readonly stack: StackFixture;
  readonly running: StackProcess;
  /** State directory of the command line. */
  readonly state: string;
  /** The variables of every command. */
  readonly environment: Readonly<Record<string, string>>;
  readonly berth: Berth;
  run(...words: string[]): Promise<CliAnswer>;
  runWith(options: RunOptions, ...words: string[]): Promise<CliAnswer>;
  start(options: RunOptions, ...words: string[]): RunningCli;
  close(): Promise<void>;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
}

const checkout = join(import.meta.dirname, "berth.mjs");

/**
 * Returns the packed command line, as users have it, where `npm run test:cli` made one. Commands of `berth stack` need
 * the checkout.
 */
export function programFor(words: readonly string[]): string {
  return (words[0] !== "stack" && process.env.BERTH_PACKED_CLI) || checkout;
}

export async function openCliFixture(settings: Readonly<Record<string, string>> = {}): Promise<CliFixture> {
  const stack = openStackFixture("berth-cli-");
  const running = await stack.start(settings);
  const state = mkdtempSync(join(tmpdir(), "berth-cli-state-"));
  const environment = { ...cleanEnvironment(), BERTH_HOME: stack.home, XDG_CONFIG_HOME: state };
  const start = (options: RunOptions, ...words: string[]) =>
    startCli({ ...environment, ...options.env }, options, words);
  return {
    stack,
    running,
    state,
    environment,
    berth: new Berth({ url: running.url, credentials: async () => (await running.env()).API_KEY ?? "" }),
    start,
    runWith: (options, ...words) => start(options, ...words).ended,
    run: (...words) => start({}, ...words).ended,
    async close() {
      await stack.close();
      rmSync(state, { recursive: true });
    },
  };
}

/** Returns this process's variables without those that configure the command line. */
export function cleanEnvironment(): Record<string, string> {
  const ownValue = Object.entries(process.env).filter(
    ([name]) => !/^(AWS_|BERTH_|API_|NODE_OPTIONS$|REGISTRY_PASSWORD$|VITEST)/.test(name),
  );
  return Object.fromEntries(ownValue.map(([name, value = ""]) => [name, value]));
}

/** Starts the command line as a process. */
export function startCli(env: NodeJS.ProcessEnv, options: RunOptions, words: readonly string[]): RunningCli {
  const child = spawn(process.execPath, [programFor(words), ...words], { env, cwd: options.cwd });
  const parts = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (part) => {
      parts[name] += String(part);
      for (const poll of watchers) poll();
    });
  }
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const ended = new Promise<CliAnswer>((resolve, reject) => {
    child.once("error", reject).once("close", (code) => resolve({ code, ...parts }));
  });
  const says = (text: string | RegExp) =>
    new Promise<void>((resolve, reject) => {
      const poll = () => {
        const all = parts.stdout + parts.stderr;
        if (typeof text === "string" ? all.includes(text) : text.test(all)) resolve();
      };
      watchers.add(poll);
      poll();
      void ended.then(() => reject(new Error(`The command ended: ${parts.stdout}${parts.stderr}`)));
    });
  return { child, ended, says, soFar: () => ({ ...parts }) };
}
