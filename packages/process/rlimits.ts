import { readFileSync } from "node:fs";
import { release } from "node:os";
import { systemPath } from "./environment.ts";
import type { Isolation } from "./records.ts";
import { worksHere } from "./works-here.ts";

/** Limits that a process hands on to all that it starts (getrlimit(2)); null: not set. */
export interface Rlimits {
  /** Of each process: it is refused more. RLIMIT_AS would count what WebAssembly and JVMs reserve and never use. */
  readonly memoryMb: number | null;
  /** In one sandbox. */
  readonly processes: number | null;
}

export interface RlimitWay {
  readonly memory: boolean;
  readonly processes: boolean;
}

/** Which of these limits hold here. */
export function findRlimits(isolation: Isolation): RlimitWay {
  if (!can(["prlimit", "--data=1073741824", "--", "true"])) return { memory: false, processes: false };
  return { memory: countsMappings(), processes: isolation === "bubblewrap" && countsPerSandbox() };
}

/** The words before a program that is to be limited: those of a sandbox come after those that make it. */
export function rlimitWords({ memoryMb, processes }: Rlimits): string[] {
  const data = memoryMb === null ? [] : [`--data=${memoryMb * 1024 * 1024}`];
  const nproc = processes === null ? [] : [`--nproc=${processes}`];
  const options = [...data, ...nproc];
  return options.length > 0 ? ["prlimit", ...options, "--"] : [];
}

/** No more than this process itself may have: nobody can be given that. */
export function ownHardLimit(name: "Max data size" | "Max processes"): number {
  try {
    const line = readFileSync("/proc/self/limits", "utf8")
      .split("\n")
      .find((text) => text.startsWith(name));
    const [, hard = ""] = line?.slice(name.length).trim().split(/\s+/) ?? [];
    return /^\d+$/.test(hard) ? Number(hard) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Before Linux 4.7 RLIMIT_DATA counted nothing that malloc maps (getrlimit(2)). */
function countsMappings(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return process.platform === "linux" && (major > 4 || (major === 4 && minor >= 7));
}

/**
 * RLIMIT_NPROC counts all processes of a user, and root's not at all: what one environment may start would depend on
 * the others. In a user namespace of its own, which the sandboxes of a plain user have, Linux counts those in it alone
 * since 5.14. There a shell may start the one process that nobody who has more than two could.
 */
function countsPerSandbox(): boolean {
  if (process.getuid?.() === 0) return false;
  const namespace = ["unshare", "--user", "--map-user=0", "--map-group=0", "--"];
  return can([...namespace, "prlimit", "--nproc=2", "--", "/bin/sh", "-c", "/bin/sh -c : & wait $!"]);
}

function can([file = "", ...args]: readonly string[]): boolean {
  return worksHere("A limit", { program: file, words: args, env: { PATH: systemPath } });
}
