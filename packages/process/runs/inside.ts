import { realpathSync } from "node:fs";
import { enteringUser } from "../network/network.ts";
import { handedOn, limited, type RunLimits } from "../sandbox/limits.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { workspace } from "../sandbox/sandbox.ts";
import { type Account, giveUpRights, keptRights } from "../sandbox/sandbox-user.ts";
import { refusing, withRefused } from "../sandbox/system-calls.ts";
import type { ProcessIdentity } from "../supervisor/process-identity.ts";
import type { Isolation, Network } from "./records.ts";

export interface Inside {
  /** Value of BERTH_RUN in every process. */
  readonly name: string;
  readonly isolation: Isolation;
  readonly network: Network;
  readonly sandbox: ProcessIdentity | null;
  /** Seccomp filter. Absent in runs of older releases. */
  readonly refusedCalls?: string;
  readonly work: string;
  /** User of the run's processes. Absent if the supervisor runs older code. */
  readonly account?: Account;
  /** Volumes by their requested path, and the path at which processes see them. */
  readonly mounts: readonly { readonly path: string; readonly seen: string }[];
  readonly limits: RunLimits;
  readonly env: Readonly<Record<string, string>>;
}

interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

interface Carried {
  readonly env: Readonly<Record<string, string>>;
  readonly unpack: string;
}

/** Packs variables under neutral names, so that none (LD_PRELOAD, PATH) acts on privileged programs. */
export function carried(variables: Readonly<Record<string, string>>): Carried {
  const packed = Object.entries(variables).map(([name, value], n) => [`__berth_${n}`, `${name}=${value}`] as const);
  const unpack = packed.map(([name]) => `export "$${name}"; unset ${name}`).join("; ");
  return { env: Object.fromEntries(packed), unpack };
}

export function commandInside(inside: Inside, words: readonly string[]): Command {
  const { env: variables, unpack } = carried({ ...inside.env, BERTH_RUN: inside.name });
  const env = { PATH: systemPath, BERTH_RUN: inside.name, ...variables };
  const shell = ["/bin/sh", "-c", `${unpack}; cd -- "$0" && unset OLDPWD && exec "$@"`, inside.work, ...words];
  const [file = "", ...args] = limited(inside.limits, inSandbox(inside, shell));
  return { file, args, env, cwd: "/" };
}

function inSandbox({ sandbox, network, refusedCalls, limits }: Inside, shell: readonly string[]): string[] {
  if (!sandbox) return [...handedOn(limits), ...shell];
  const entering = enterCommand(String(sandbox.pid), network);
  const unprivileged = [...handedOn(limits), ...giveUpRights(), ...shell];
  if (refusedCalls === undefined) return [...entering, ...unprivileged];
  return withRefused(refusedCalls, [...entering, ...refuseCommand(), ...unprivileged]);
}

/** Returns the bubblewrap command that applies the seccomp filter to a process that enters later. */
export function refuseCommand(): string[] {
  return ["bwrap", ...refusing, "--dev-bind", "/", "/", ...keptRights(), "--"];
}

/** Joins a sandbox's namespaces. This gives all capabilities there, so `giveUpRights` must follow. */
export function enterCommand(pid: string, network: Network): string[] {
  const net = network === "own" ? ["--net"] : [];
  return ["nsenter", "--target", pid, ...enteringUser(), "--mount", "--pid", "--uts", "--ipc", ...net, "--"];
}

/** PATH_MAX of Linux (limits.h). */
const longestPath = 4096;

/** Maps a path inside to the real one. Without a sandbox, /workspace is elsewhere. */
export function realDirectory(inside: Inside, directory: string): string {
  return moved(directory, listPlaces(inside));
}

/** Maps a path that a command wrote to its name inside; null if it is not a path. */
export function seenDirectory(inside: Inside, written: string): string | null {
  const path = written.replace(/\n$/, "");
  if (!path.startsWith("/") || path.includes("\0") || path.length > longestPath) return null;
  const back = listPlaces(inside).flatMap(({ from, to }) => [
    { from: to, to: from },
    { from: realPath(to), to: from },
  ]);
  return moved(path, back);
}

interface MappedPath {
  readonly from: string;
  readonly to: string;
}

function listPlaces({ isolation, mounts, env }: Inside): MappedPath[] {
  if (isolation !== "none") return [];
  const volumes = mounts.map(({ path, seen }) => ({ from: path, to: seen }));
  const isMounted = volumes.some(({ from }) => from === workspace);
  return env.WORKSPACE === undefined || isMounted ? volumes : [...volumes, { from: workspace, to: env.WORKSPACE }];
}

/** The longest prefix wins, because volumes may be nested. */
function moved(path: string, places: readonly MappedPath[]): string {
  const fitting = places.filter(({ from }) => path === from || path.startsWith(`${from}/`));
  const [longest] = fitting.toSorted((left, right) => right.from.length - left.from.length);
  return longest ? `${longest.to}${path.slice(longest.from.length)}` : path;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
