import { enteringUser } from "../network/network.ts";
import type { Account } from "../sandbox/account.ts";
import { systemPath } from "../sandbox/environment.ts";
import { handedOn, limited, type RunLimits } from "../sandbox/limits.ts";
import { giveUpRights, keptRights } from "../sandbox/sandbox-user.ts";
import { refusing, withRefused } from "../sandbox/system-calls.ts";
import type { ProcessIdentity } from "../supervisor/process-identity.ts";
import type { Isolation, Network } from "./records.ts";

/** What it takes to start a process in a machine of a run. */
export interface Inside {
  /** The run's; every process of it carries this as BERTH_RUN. */
  readonly name: string;
  readonly isolation: Isolation;
  readonly network: Network;
  /** First process of the sandbox. */
  readonly sandbox: ProcessIdentity | null;
  /** The file of the system calls that the sandbox refuses; one that older code began may have none. */
  readonly refusedCalls?: string;
  /** Where the command of the run began. */
  readonly work: string;
  /** The user of its processes. Absent if the supervisor runs older code. */
  readonly account?: Account;
  /** Its volumes by the place where they are to be seen, and where they are seen. */
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

/** Variables under names of our own, and what a shell does to give them theirs. */
export interface Carried {
  readonly env: Readonly<Record<string, string>>;
  readonly unpack: string;
}

/**
 * How a run's variables go in: they get their names only in the shell that has no rights any more, so that none acts on
 * the programs before it, which have some (PATH, LD_PRELOAD and GCONV_PATH would).
 */
export function carried(variables: Readonly<Record<string, string>>): Carried {
  const packed = Object.entries(variables).map(([name, value], n) => [`__berth_${n}`, `${name}=${value}`] as const);
  const unpack = packed.map(([name]) => `export "$${name}"; unset ${name}`).join("; ");
  return { env: Object.fromEntries(packed), unpack };
}

/** How these words are run inside, in the work directory and with the environment of the run's own command. */
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

/** bubblewrap once more, in the sandbox as it is: what it refuses is refused to those that come in later as well. */
export function refuseCommand(): string[] {
  return ["bwrap", ...refusing, "--dev-bind", "/", "/", ...keptRights(), "--"];
}

/**
 * The words that join the namespaces of a sandbox's first process. Whoever joins a user namespace has every capability
 * in it, and with these could undo what hides the home: `giveUpRights` has to come next.
 */
export function enterCommand(pid: string, network: Network): string[] {
  const net = network === "own" ? ["--net"] : [];
  return ["nsenter", "--target", pid, ...enteringUser(), "--mount", "--pid", "--uts", "--ipc", ...net, "--"];
}
