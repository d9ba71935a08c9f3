import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlink } from "node:fs/promises";
import { listDescendants } from "../cluster/container/descendants.ts";

/** Linux namespaces that live as long as their first process. */
export interface Namespaces {
  /** Pid of the first process, as this process numbers processes. */
  readonly pid: number;
  /** Kills all processes inside. The kernel then removes mounts and network interfaces. */
  stop(): Promise<void>;
}

/** Options of unshare(1), each for one kind of namespace beside that of processes. */
export type NamespaceOption = "--net" | "--mount" | "--mount-proc";

/** Opens namespaces whose first process is `pause node`. They end with this process, however this process ends. */
export async function openNamespaces(pause: string, options: readonly NamespaceOption[]): Promise<Namespaces> {
  const first = spawn("unshare", ["--pid", "--fork", ...options, "--", pause, "node"], {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
  });
  let problem = "";
  first.stderr.on("data", (text) => (problem += text));
  const ready = once(first.stdout, "data");
  const failed = once(first, "exit").then(() => {
    throw new Error(`No namespaces for a node: ${problem.trim()}`);
  });
  await Promise.race([ready, failed]);
  failed.catch(() => undefined);
  const [pid] = listDescendants(first.pid ?? 0);
  if (pid === undefined) throw new Error("The first process of the node has ended");
  return {
    pid,
    async stop() {
      if (first.exitCode !== null || first.signalCode !== null) return;
      const ended = once(first, "exit");
      first.stdin.end();
      await ended;
    },
  };
}

/** Namespaces of the machine (PROC_PID_INIT_INO and PROC_CGROUP_INIT_INO, include/linux/proc_ns.h of the kernel). */
export const MACHINE_PIDS = "4026531836";
export const MACHINE_CGROUPS = "4026531835";

/** Returns the number of a namespace of a process (namespaces(7)); undefined if the process has ended. */
export async function readNamespace(pid: string, kind: "pid" | "cgroup"): Promise<string | undefined> {
  const link = await readlink(`/proc/${pid}/ns/${kind}`).catch(() => "");
  return /\[(\d+)\]/.exec(link)?.[1];
}
