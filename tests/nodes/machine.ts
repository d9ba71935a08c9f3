import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { listDescendants } from "../cluster/container/descendants.ts";
import { openNamespaces } from "./namespaces.ts";

/** Namespaces that play a machine: its own processes, mounts and network. */
export interface Machine {
  /** Pid of its first process, as the tests number processes. */
  readonly pid: number;
  /** Runs a program in it to its end, and returns its output. */
  run(command: string, args: readonly string[]): Promise<string>;
  /** Starts a program in it, with its output in `<home>/log/<name>.log`. */
  start(name: string, command: string, args: readonly string[], env?: NodeJS.ProcessEnv): MachineProcess;
  /** Ends all of its processes at once, as a power cut would. Mounts and network go with them. */
  stop(): Promise<void>;
}

export interface MachineProcess {
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** Sends a signal to the program. */
  signal(signal: NodeJS.Signals): void;
  /** Returns the last lines of its output. */
  readLog(): Promise<string>;
  /** Returns what the promise returns. Throws with the log if the program ends first. */
  whileRunning<Value>(promise: Promise<Value>): Promise<Value>;
}

/**
 * Settings that a kubelet wants of its kernel (k8s.io/kubernetes/pkg/kubelet/cm, setupKernelTunables). They hold for
 * the whole machine, so the node sees files in their place.
 */
const sysctls: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

/**
 * Starts a machine whose first process is `pause node`. It ends with this process, however this process ends. `diskMb`
 * is the size of a disk in memory; without one, the machine's disk is a folder of its home.
 */
export async function startMachine(pause: string, home: string, diskMb?: number): Promise<Machine> {
  await Promise.all(["lib", "log", "sysctl"].map((name) => mkdir(join(home, name), { recursive: true })));
  const { pid, stop } = await openNamespaces(pause, ["--net", "--mount", "--mount-proc"]);
  const inside = ["--target", String(pid), "--net", "--mount", "--pid", "--"];
  const run = async (command: string, args: readonly string[]) =>
    (await promisify(execFile)("nsenter", [...inside, command, ...args], { cwd: "/" })).stdout;
  try {
    await mountOwnFolders(run, home, diskMb);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    pid,
    run,
    start: (name, command, args, env = {}) => {
      const log = join(home, "log", `${name}.log`);
      return follow(name, log, (output) =>
        spawn("nsenter", [...inside, command, ...args], {
          stdio: ["ignore", output, output],
          cwd: "/",
          env: { ...process.env, ...env },
        }),
      );
    },
    stop,
  };
}

/** Gives the machine the folders that a kubelet and containerd write to, instead of those of the host. */
async function mountOwnFolders(run: Machine["run"], home: string, diskMb: number | undefined): Promise<void> {
  await run("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"]);
  if (diskMb === undefined) await run("mount", ["--bind", join(home, "lib"), "/var/lib"]);
  else await run("mount", ["-t", "tmpfs", "-o", `mode=755,size=${diskMb}m`, "tmpfs", "/var/lib"]);
  await run("mount", ["--bind", join(home, "log"), "/var/log"]);
  for (const [name, value] of Object.entries(sysctls)) {
    const file = join(home, "sysctl", name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${value}\n`);
    await run("mount", ["--bind", file, `/proc/sys/${name}`]);
  }
}

function follow(name: string, log: string, start: (output: number) => ChildProcess): MachineProcess {
  const output = openSync(log, "a", 0o600);
  const child = start(output);
  closeSync(output);
  const ended = once(child, "exit").then(() => undefined);
  const readLog = async () => (await readFile(log, "utf8")).split("\n").slice(-20).join("\n");
  return {
    ended,
    signal(signal) {
      // `nsenter` waits outside for the program that it started inside.
      for (const pid of listDescendants(child.pid ?? 0).slice(0, 1)) process.kill(pid, signal);
      // It stops itself with that program. Stopped, it would never notice the program's end.
      if (signal === "SIGCONT") child.kill(signal);
    },
    readLog,
    whileRunning: (promise) => {
      const failed = ended.then(async () => {
        throw new Error(`${name} has ended:\n${await readLog()}`);
      });
      failed.catch(() => undefined);
      return Promise.race([promise, failed]);
    },
  };
}
