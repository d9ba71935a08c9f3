import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..");

export interface StartFixture {
  readonly home: string;
  readonly beside: string;
  environment(more?: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
  /** Starts a process, which ends with the fixture together with its children. */
  run(words: readonly string[], cwd?: string, more?: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams;
  /** Starts a stack and waits until it listens. If it ends first, throws with its output. */
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
        // Leaving the loop closes the pipe: the stack must continue without a reader.
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

/** Ends a process group, because a file watcher runs the stack in a child process. */
function endGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  process.kill(-pid, "SIGKILL");
}

/** Creates a view of this project with an empty compile cache. */
export function freshCheckout(path: string): string {
  const installed = join(root, "node_modules");
  mkdirSync(join(path, "node_modules"), { recursive: true });
  for (const name of readdirSync(installed).filter((each) => each !== ".cache"))
    symlinkSync(join(installed, name), join(path, "node_modules", name));
  for (const name of ["packages", "functions", "scripts", "package.json", "LICENSE"])
    cpSync(join(root, name), join(path, name), { recursive: true });
  return path;
}
