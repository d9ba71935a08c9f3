import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, lstatSync } from "node:fs";
import { userInfo } from "node:os";
import type { LaunchPlan } from "../runs/plan.ts";
import type { Isolation } from "../runs/records.ts";
import { findOnPath, systemPath } from "./local-path.ts";

/** Owner of sandbox files if root starts the stack. No account has this id (systemd leaves 60578 to 61183 free). */
const ownId = 61_100;
/** User id that the environments of a plain user see. Outside, their files belong to that user. */
const seenId = 1000;

const isRoot = process.getuid?.() === 0;

export const hasUserNamespace = !isRoot;

const idInside = isRoot ? ownId : seenId;

/**
 * Root needs no user namespace. A plain user is root in one until `giveUpRights`: with another id, bubblewrap creates a
 * second, inner namespace that later commands cannot enter.
 */
export function userOptions(): string[] {
  return isRoot ? keptRights() : ["--unshare-user", "--uid", "0", "--gid", "0", ...keptRights()];
}

export function keptRights(): string[] {
  // Three to change the id, and CAP_DAC_READ_SEARCH to start in a directory that only the run can read.
  const names = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_READ_SEARCH"];
  return isRoot ? ["--cap-drop", "ALL", ...names.flatMap((name) => ["--cap-add", name])] : ["--cap-add", "ALL"];
}

/**
 * Returns the prefix of every process inside. It drops all capabilities, so that no child can regain them
 * (capabilities(7), user_namespaces(7)). New user namespaces would restore them: seccomp refuses those to root's
 * sandboxes (system-calls.ts), and `lastNamespace` to others.
 */
export function giveUpRights(): string[] {
  const nothing = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--"];
  if (isRoot) return ["setpriv", `--reuid=${ownId}`, `--regid=${ownId}`, "--clear-groups", ...nothing];
  const command = ["unshare", "--user", `--map-user=${seenId}`, `--map-group=${seenId}`, "--keep-caps", "--"];
  const shared = ["/bin/sh", "-c", partOfWatches, ...command];
  return [...shared, "/bin/sh", "-c", lastNamespace, "setpriv", ...nothing];
}

/** Gives each environment a quarter of the user's inotify limits (inotify(7), namespaces(7)). */
const partOfWatches = `{ for what in instances watches; do
  echo $(($(cat /proc/sys/fs/inotify/max_user_$what) / 4)) >/proc/sys/user/max_inotify_$what
done; } 2>/dev/null; exec "$0" "$@"`;

/** Forbids further user namespaces. Only a process with rights in this one can undo that (namespaces(7)). */
const lastNamespace = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" "$@"';

/** Lets the processes of a run change this file or directory. Without a sandbox they already can. */
export function giveToRun(path: string, isolation: Isolation): void {
  if (isRoot && isolation === "bubblewrap") chownSync(path, ownId, ownId);
}

/** Gives a whole volume to the run. Another user or a run without a sandbox may have filled it. */
export async function giveAllToRun(directory: string, isolation: Isolation): Promise<void> {
  if (!isRoot || isolation === "none" || lstatSync(directory).uid === ownId) return;
  const words = ["-R", "-h", "-P", `${ownId}:${ownId}`, "--", directory];
  const child = spawn("chown", words, { env: { PATH: systemPath }, stdio: "ignore" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error("The owner of the volume's files could not be changed");
}

export const sandboxUser = "berth";

export function passwdInside({ name, home, shell }: Account): { readonly passwd: string; readonly group: string } {
  const nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
  return {
    passwd: `root:x:0:0:root:/root:/bin/sh\n${name}:x:${idInside}:${idInside}:${name}:${home}:${shell}\n${nobody}`,
    group: `root:x:0:\n${name}:x:${idInside}:\nnogroup:x:65534:\n`,
  };
}

/** User of a run's processes, as shown by its /etc/passwd and login variables. */
export interface Account {
  readonly name: string;
  /** Path inside the run. */
  readonly home: string;
  /** Bash if the run has it, else sh. */
  readonly shell: string;
}

export function chooseAccount(
  { isolation, programs }: Pick<LaunchPlan, "isolation" | "programs">,
  home: string,
): Account {
  const name = isolation === "none" ? ownName() : sandboxUser;
  return { name, home, shell: findOnPath("bash", `/bin:${programs.path}`) ?? "/bin/sh" };
}

export function loginVariables({ name, home, shell }: Account): Record<string, string> {
  return { USER: name, LOGNAME: name, HOME: home, SHELL: shell };
}

/** A container may run under a user id that /etc/passwd does not list. */
function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "");
  }
}
