import { spawn } from "node:child_process";
import type { Container } from "../kubelet/pod.ts";
import type { ContainerFiles } from "./container-files.ts";
import type { ContainerLog } from "./container-log.ts";
import { listDescendants } from "./descendants.ts";

/** Command of a container as a process of this machine with its own process group. */
export interface ContainerProcess {
  signal(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Names a process group to end with the control plane. Returns a function that takes this back. */
export type Guard = (processGroup: number) => () => void;

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

export interface ProcessPlace {
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly log: ContainerLog;
  readonly guard: Guard;
  readonly files: ContainerFiles;
}

/** Starts the command. Calls `end` once with the exit code that a container runtime would report. */
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
      // On a node, all processes of a container end with its first.
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

/** Expands variables as the kubelet does: `$(NAME)` if it is set, and `$$` for `$`. */
function expanded(word: string, env: Readonly<Record<string, string>>): string {
  return word.replaceAll(/\$\$|\$\(([^)]*)\)/g, (found, name: string | undefined) => {
    return name === undefined ? "$" : (env[name] ?? found);
  });
}

/** Returns the exit code of a process that a signal ended. */
export function toExitCode(signal: NodeJS.Signals | null): number {
  return 128 + ((signal && signalNumbers[signal]) ?? 9);
}

/** Returns an environment with this machine's PATH and no other variable of the tests. */
export function inside(env: Record<string, string>): Record<string, string> {
  return { PATH: process.env.PATH ?? "", ...env };
}
