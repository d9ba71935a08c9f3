import { readFileSync } from "node:fs";
import { release } from "node:os";
import type { Isolation } from "../runs/records.ts";
import { systemPath } from "./environment.ts";
import { findOnPath } from "./local-path.ts";
import { worksHere } from "./works-here.ts";

/** Limits that a process hands on to all that it starts (getrlimit(2)); null: not set. */
export interface Rlimits {
  /** Of each process: it is refused more. RLIMIT_AS would count what WebAssembly and JVMs reserve and never use. */
  readonly memoryMb: number | null;
  /** In one sandbox. */
  readonly processes: number | null;
}

/** What one process may hold of resources that Linux counts for each user, whoever's processes they are (getrlimit(2)). */
export interface UserLimits {
  /** Open files. Sockets may have as many descriptors of the user in flight (unix(7), ETOOMANYREFS). */
  readonly files: number;
  /** Queued signals. */
  readonly signals: number;
  /** Bytes of POSIX message queues. */
  readonly messageBytes: number;
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

/**
 * Returns the part of these resources that a run may hold: never all of them, or one run could keep the stack and the
 * other runs from starting anything. slirp4netns passes a descriptor to itself when it starts. undefined where this
 * machine has no prlimit.
 */
export function findUserLimits(): UserLimits | undefined {
  if (!can(["prlimit", "--nofile=64", "--sigpending=64", "--msgqueue=0", "--", "true"])) return undefined;
  return {
    files: getPart("Max open files", 2, 524_288),
    signals: getPart("Max pending signals", 8, 65_536),
    messageBytes: getPart("Max msgqueue size", 8, 102_400),
  };
}

function getPart(name: HardLimit, parts: number, most: number): number {
  return Math.min(Math.floor(ownHardLimit(name) / parts), most);
}

/** The words before a program that is to be limited: those of a sandbox come after those that make it. */
export function rlimitCommand({ memoryMb, processes }: Rlimits, user?: UserLimits): string[] {
  const data = memoryMb === null ? [] : [`--data=${memoryMb * 1024 * 1024}`];
  const nproc = processes === null ? [] : [`--nproc=${processes}`];
  const counted = user
    ? [`--nofile=${user.files}`, `--sigpending=${user.signals}`, `--msgqueue=${user.messageBytes}`]
    : [];
  const options = [...data, ...nproc, ...counted];
  return options.length > 0 ? [systemProgram("prlimit"), ...options, "--"] : [];
}

/** Returns the path of a program of the machine: the PATH of a run may lead to another one, or to none. */
export function systemProgram(name: string): string {
  return findOnPath(name, systemPath) ?? name;
}

type HardLimit = "Max data size" | "Max processes" | "Max open files" | "Max pending signals" | "Max msgqueue size";

/** Returns the hard limit of this process, which no process that it starts can exceed. */
export function ownHardLimit(name: HardLimit): number {
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
