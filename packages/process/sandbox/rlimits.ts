import { release } from "node:os";
import { findText } from "../files.ts";
import type { Isolation } from "../runs/records.ts";
import { findOnPath, systemPath } from "./local-path.ts";
import { probeSync } from "./probe.ts";

/** Limits that child processes inherit (getrlimit(2)); null means not set. */
export interface Rlimits {
  /** Memory of each process (RLIMIT_DATA). RLIMIT_AS would count what WebAssembly and JVMs only reserve. */
  readonly memoryMb: number | null;
  readonly processes: number | null;
}

/** Part that one process may hold of resources that Linux counts per user (getrlimit(2)). */
export interface UserLimits {
  /** Open files. The descriptors in flight over sockets of the user have the same limit (unix(7), ETOOMANYREFS). */
  readonly files: number;
  readonly signals: number;
  /** Bytes of POSIX message queues. */
  readonly messageBytes: number;
}

export interface RlimitWay {
  readonly memory: boolean;
  readonly processes: boolean;
}

export function findRlimits(isolation: Isolation): RlimitWay {
  if (!can(["prlimit", "--data=1073741824", "--", "true"])) return { memory: false, processes: false };
  return { memory: countsMappings(), processes: isolation === "bubblewrap" && countsPerSandbox() };
}

/**
 * Returns a part of the hard limits, so that one run cannot keep others from starting. slirp4netns, for example, sends
 * itself a descriptor when it starts. Undefined without a working prlimit.
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

export function rlimitCommand({ memoryMb, processes }: Rlimits, user?: UserLimits): string[] {
  const data = memoryMb === null ? [] : [`--data=${memoryMb * 1024 * 1024}`];
  const nproc = processes === null ? [] : [`--nproc=${processes}`];
  const counted = user
    ? [`--nofile=${user.files}`, `--sigpending=${user.signals}`, `--msgqueue=${user.messageBytes}`]
    : [];
  const options = [...data, ...nproc, ...counted];
  return options.length > 0 ? [systemProgram("prlimit"), ...options, "--"] : [];
}

/** Returns the path of a system program. The PATH of a run may lead to another program of that name, or to none. */
export function systemProgram(name: string): string {
  return findOnPath(name, systemPath) ?? name;
}

type HardLimit = "Max data size" | "Max processes" | "Max open files" | "Max pending signals" | "Max msgqueue size";

export function ownHardLimit(name: HardLimit): number {
  const lines = findText("/proc/self/limits")?.split("\n") ?? [];
  const line = lines.find((text) => text.startsWith(name));
  const [, hard = ""] = line?.slice(name.length).trim().split(/\s+/) ?? [];
  return /^\d+$/.test(hard) ? Number(hard) : Number.POSITIVE_INFINITY;
}

/** Before Linux 4.7, RLIMIT_DATA did not count memory that malloc maps (getrlimit(2)). */
function countsMappings(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return process.platform === "linux" && (major > 4 || (major === 4 && minor >= 7));
}

/**
 * Reports whether RLIMIT_NPROC counts per user namespace (Linux 5.14) and not per user. It ignores root. The probe
 * starts one process in a new namespace, which fails if the user's other processes count.
 */
function countsPerSandbox(): boolean {
  if (process.getuid?.() === 0) return false;
  const namespace = ["unshare", "--user", "--map-user=0", "--map-group=0", "--"];
  return can([...namespace, "prlimit", "--nproc=2", "--", "/bin/sh", "-c", "/bin/sh -c : & wait $!"]);
}

function can([file = "", ...args]: readonly string[]): boolean {
  return probeSync("A limit", { program: file, words: args, env: { PATH: systemPath } });
}
