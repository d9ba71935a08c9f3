import { enteringUser } from "../network/network.ts";
import type { Account } from "../sandbox/account.ts";
import { systemPath } from "../sandbox/environment.ts";
import { handedOn, limited, type RunLimits } from "../sandbox/limits.ts";
import { giveUpRights, keptRights } from "../sandbox/sandbox-user.ts";
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

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface Carried {
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
