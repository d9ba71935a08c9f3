import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { toolsPath } from "../../../scripts/images/tools-programs.ts";

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Result of a command, as `supervisor read` returns it. */
export interface ReadAnswer {
  readonly end: { readonly state: "running" | "ended"; readonly exitCode: number; readonly timedOut: boolean };
  readonly directory: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Script that runs until the directory of its fixture, in which it works, is removed. */
export const staying = "while [ -e lock ]; do sleep 0.05; done";

/** Supervisor as a plain process, installed into its own directory as an init container does. */
export interface SupervisorFixture {
  readonly home: string;
  readonly file: (name: string) => string;
  /** Starts the supervisor, and returns when it answers. */
  run(words: readonly string[], options?: RunOptions): Promise<RunningSupervisor>;
  /** Calls the supervisor as a client. */
  ask(verb: string, args?: readonly string[], stdin?: string): Promise<Answer>;
  /** Starts a command, and returns when the supervisor has accepted it. */
  exec(order: object): Promise<Answer>;
  read(id: string, waitMs?: number): Promise<ReadAnswer>;
  /** Reads the output until the command has ended. */
  ended(id: string): Promise<ReadAnswer>;
  close(): Promise<void>;
}

export interface RunOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Words in front of the program, such as bubblewrap with its options. */
  readonly by?: readonly string[];
  /** The supervisor ends before it can answer. */
  readonly isShort?: true;
}

export interface RunningSupervisor {
  readonly child: ChildProcess;
  output(): string;
  readonly exit: Promise<number | null>;
  /** Kills only the supervisor, not its children, and returns when it is gone. */
  kill(): Promise<void>;
  /** Returns the termination message after the end. */
  lastWords(): unknown;
}

export async function openSupervisor(): Promise<SupervisorFixture> {
  const home = await mkdtemp(join(tmpdir(), "berth-supervisor-"));
  const file = (name: string) => join(home, name);
  const children: ChildProcess[] = [];
  const installed = await getAnswer(join(await toolsPath(process.env), "supervisor"), ["install", home]);
  if (installed.code !== 0) throw new Error(installed.stderr);
  const ask: SupervisorFixture["ask"] = (verb, args = [], stdin) =>
    getAnswer(file("supervisor"), [verb, ...args], stdin);
  const read = async (id: string, waitMs = 0): Promise<ReadAnswer> => {
    const { code, stdout, stderr } = await ask("read", [id, String(waitMs)]);
    if (code !== 0) throw new Error(`${code}: ${stderr}`);
    return readFor(stdout);
  };
  return {
    home,
    file,
    ask,
    read,
    exec: (order) => ask("exec", [], JSON.stringify({ env: {}, directory: "", timeoutMs: 60_000, ...order })),
    async ended(id) {
      for (;;) {
        const shown = await read(id, 4_000);
        if (shown.end.state === "ended") return shown;
      }
    },
    async run(words, { flags = [], env = {}, by = [], isShort } = {}) {
      const ended = file("ended");
      await rm(ended, { force: true });
      const [command = "", ...args] = [...by, file("supervisor"), "run", "--ended", ended, ...flags, "--", ...words];
      const child = spawn(command, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env.PATH, ...env },
        cwd: home,
        detached: true,
      });
      children.push(child);
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (data: Buffer) => {
          output += data;
        });
      }
      const exit = once(child, "close").then(([code]) => code as number | null);
      while (!isShort && child.exitCode === null && (await ask("count")).code !== 0) await sleep(10);
      return {
        child,
        output: () => output,
        exit,
        async kill() {
          const gone = once(child, "exit");
          child.kill("SIGKILL");
          await gone;
        },
        lastWords: () => (existsSync(ended) ? JSON.parse(readFileSync(ended, "utf8")) : undefined),
      };
    },
    async close() {
      for (const child of children) if (child.exitCode === null) child.kill("SIGTERM");
      await Promise.all(
        children.map(async (child) => child.exitCode !== null || child.signalCode !== null || once(child, "exit")),
      );
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Parses the output of `supervisor read`, whose first line gives the length of each stream. */
function readFor(shown: string): ReadAnswer {
  const bytes = Buffer.from(shown);
  const at = bytes.indexOf("\n") + 1;
  const first = JSON.parse(bytes.subarray(0, at).toString());
  const text = (from: number, length: number) => bytes.subarray(at + from, at + from + length).toString();
  return { ...first, stdout: text(0, first.stdout), stderr: text(first.stdout, first.stderr) };
}

async function getAnswer(program: string, args: readonly string[], stdin = ""): Promise<Answer> {
  const child = spawn(program, args);
  child.stdin.on("error", () => undefined).end(stdin);
  const [stdout, stderr, [code]] = await Promise.all([
    readText(child.stdout),
    readText(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}

/** Reports whether a process lives. A zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

async function readText(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** Returns once the condition holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(20);
}
