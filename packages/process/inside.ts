import { readlinkSync } from "node:fs";
import { systemPath } from "./environment.ts";
import { inGroup } from "./limits.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import type { Isolation } from "./records.ts";

/** What it takes to start a process in a machine of a run. */
export interface Inside {
  /** The run's; every process of it carries this as BERTH_RUN. */
  readonly name: string;
  readonly isolation: Isolation;
  /** First process of the sandbox. */
  readonly sandbox: ProcessIdentity | null;
  /** Where the command of the run began. */
  readonly work: string;
  /** Its volumes by the place where they are to be seen, and where they are seen. */
  readonly mounts: readonly { readonly path: string; readonly seen: string }[];
  /** Its control group; null: nothing limits it. */
  readonly group: string | null;
  readonly env: Readonly<Record<string, string>>;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/**
 * How these words are run inside, in the work directory and with the environment of the run's own command. The
 * variables go in under names of our own and get theirs only inside, so that none acts on nsenter out here
 * (GCONV_PATH and LD_PRELOAD would).
 */
export function commandInside(inside: Inside, words: readonly string[]): Command {
  const variables = Object.entries({ ...inside.env, BERTH_RUN: inside.name }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const names = variables.map((_, n) => `__berth_${n}`);
  const carried = Object.fromEntries(names.map((name, n) => [name, variables[n] ?? ""]));
  const script = [...names.map((name) => `export "$${name}"; unset ${name}`), 'cd -- "$0" && exec "$@"'].join("; ");
  const env = { PATH: systemPath, BERTH_RUN: inside.name, ...carried };
  const shell = ["/bin/sh", "-c", script, inside.work, ...words];
  const all = inside.sandbox ? [...entering(inside.sandbox.pid), ...shell] : shell;
  const [file = "", ...args] = inGroup(inside.group, all);
  return { file, args, env, cwd: "/" };
}

/**
 * Whoever joins a user namespace has every capability in it, and with these could undo what hides the home: they are
 * given up again, for good, before anything of the user's runs (user_namespaces(7), capabilities(7)).
 */
function entering(pid: number): string[] {
  const user = isSame(pid, "user") ? [] : ["-U", "--preserve-credentials"];
  const isRoot = process.getuid?.() === 0;
  const drop = isRoot ? ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"] : [];
  return [
    "nsenter",
    "-t",
    String(pid),
    ...user,
    "-m",
    "-p",
    "-u",
    "-i",
    "--",
    "setpriv",
    ...drop,
    "--no-new-privs",
    "--",
  ];
}

function isSame(pid: number, namespace: string): boolean {
  return readlinkSync(`/proc/${pid}/ns/${namespace}`) === readlinkSync(`/proc/self/ns/${namespace}`);
}
