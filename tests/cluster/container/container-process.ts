import { spawn } from "node:child_process";
import type { Container } from "../kubelet/pod.ts";
import type { ContainerFiles } from "./container-files.ts";
import type { ContainerLog } from "./container-log.ts";
import { listDescendants } from "./descendants.ts";

/** A container's command as a process of this machine, in its own process group. */
export interface ContainerProcess {
  signal(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Names a process group that must not outlive the bench; the answer takes that back. */
export type Guard = (processGroup: number) => () => void;

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

export interface ProcessPlace {
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly log: ContainerLog;
  readonly guard: Guard;
  readonly files: ContainerFiles;
}

/** `end` is called once, with the exit code as a container runtime gives it. */
export function startProcess(
  container: Container,
  { env, cwd, log, guard, files }: ProcessPlace,
  end: (exitCode: number, reason?: string) => void,
): ContainerProcess {
  const words = [...(container.command ?? ["sleep", "infinity"]), ...(container.args ?? [])];
  const [command = "sleep", ...args] = files.command(words.map((word) => expanded(word, env)));
  const child = spawn(command, args, { env: inside(env), cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  for (const output of [child.stdout, child.stderr]) output.on("data", (data) => log.write(String(data)));
  const release = child.pid === undefined ? () => undefined : guard(child.pid);
  child.on("error", () => end(128, "StartError"));
  child.on("close", (code, signal) => {
    release();
    end(code ?? toExitCode(signal));
  });
  return {
    signal(signal) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      // On a node everything in a container ends with its first process.
      const left = signal === "SIGKILL" ? listDescendants(child.pid) : [];
      process.kill(-child.pid, signal);
      for (const pid of left) kill(pid);
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** As the kubelet writes variables into the words of a command: `$(NAME)` where there is one, `$$` for `$`. */
function expanded(word: string, env: Readonly<Record<string, string>>): string {
  return word.replaceAll(/\$\$|\$\(([^)]*)\)/g, (found, name: string | undefined) => {
    return name === undefined ? "$" : (env[name] ?? found);
  });
}

/** Of a process that a signal ended. */
export function toExitCode(signal: NodeJS.Signals | null): number {
  return 128 + ((signal && signalNumbers[signal]) ?? 9);
}

/** A container finds its programs where this machine has them, and nothing else of the test's own environment. */
export function inside(env: Record<string, string>): Record<string, string> {
  return { PATH: process.env.PATH ?? "", ...env };
}
