import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..");

/** A home, and what a test starts in it. */
export interface StartFixture {
  readonly home: string;
  /** A directory beside the home, which is refused where something else was first. */
  readonly beside: string;
  /** What a program gets that starts a stack in the home, at any free port. */
  environment(more?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
  /** Ends the process, and all that it started, with the fixture. */
  run(words: readonly string[], cwd?: string, more?: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams;
  /** Starts a stack and waits until it listens; throws with what it printed where it ends before. */
  start(more?: NodeJS.ProcessEnv, options?: readonly string[], cwd?: string): Promise<StartedStack>;
  close(): void;
}

export interface StartedStack {
  readonly process: ChildProcessWithoutNullStreams;
  readonly url: string;
}

export function openStartFixture(): StartFixture {
  const home = mkdtempSync(join(tmpdir(), "berth-start-"));
  const beside = `${home}-beside`;
  const children: ChildProcess[] = [];
  const environment = (more: NodeJS.ProcessEnv = {}) => ({ ...process.env, BERTH_HOME: home, PORT: "0", ...more });
  const run: StartFixture["run"] = (words, cwd = root, more = {}) => {
    const child = spawn(process.execPath, words, { cwd, env: environment(more), detached: true });
    children.push(child);
    return child;
  };
  return {
    home,
    beside,
    environment,
    run,
    async start(more = {}, options = [], cwd = root) {
      const child = run([...options, "scripts/start.mjs"], cwd, more);
      let output = "";
      for await (const chunk of child.stdout) {
        output += String(chunk);
        const [, url] = /"event":"started","url":"([^"]+)".*\n/.exec(output) ?? [];
        // Leaving the loop closes the pipe: the stack has to go on without a reader.
        if (url) return { process: child, url };
      }
      throw new Error(output);
    },
    close() {
      for (const child of children) endGroup(child);
      for (const directory of [home, beside]) rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What watches files starts the stack as a process of its own, which would go on without it. */
function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  process.kill(-pid, "SIGKILL");
}

/** This project, but with a directory of installed packages in which nothing was compiled. Answers where it is. */
export function freshCheckout(path: string): string {
  const installed = join(root, "node_modules");
  mkdirSync(join(path, "node_modules"), { recursive: true });
  for (const name of readdirSync(installed).filter((each) => each !== ".cache"))
    symlinkSync(join(installed, name), join(path, "node_modules", name));
  for (const name of ["packages", "functions", "scripts", "package.json", "LICENSE"])
    cpSync(join(root, name), join(path, name), { recursive: true });
  return path;
}
