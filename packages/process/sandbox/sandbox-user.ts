import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, lstatSync } from "node:fs";
import type { Isolation } from "../runs/records.ts";
import type { Account } from "./account.ts";
import { systemPath } from "./environment.ts";

/**
 * Whose files a sandbox's processes can change, outside as well as inside: never those of the machine's root. A stack
 * that root started gives its environments this id, which belongs to nobody (systemd leaves 60578 to 61183 free); any
 * other user's environments have the files of that user.
 */
const ownId = 61_100;
/** What a plain user's environments see themselves as. */
const seenId = 1000;

const isRoot = process.getuid?.() === 0;

/** Whether a sandbox has a user namespace of its own. */
export const hasUserNamespace = !isRoot;

/** The id that processes of a sandbox see as theirs. */
const idInside = isRoot ? ownId : seenId;

/**
 * How bubblewrap is to change users. Root needs no user namespace for the others. Anybody else is root of one, and has
 * all capabilities in it until `giveUpRights`: with another id bubblewrap makes two, of which nobody can enter the right
 * one.
 */
export function userOptions(): string[] {
  return isRoot ? keptRights() : ["--unshare-user", "--uid", "0", "--gid", "0", ...keptRights()];
}

/** What is left of bubblewrap's own rights until `giveUpRights`. */
export function keptRights(): string[] {
  // The first three to change its id, the last to begin in a directory that is the run's alone.
  const names = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_READ_SEARCH"];
  return isRoot ? ["--cap-drop", "ALL", ...names.flatMap((name) => ["--cap-add", name])] : ["--cap-add", "ALL"];
}

/**
 * The words that go before whatever runs inside, the first process and each that enters later: it gets its id, has no
 * capability and cannot get any, whatever it starts (capabilities(7), user_namespaces(7)). Nor is there a user namespace
 * for it in which it would have them all: root's environments are refused that (system-calls.ts).
 */
export function giveUpRights(): string[] {
  const nothing = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--"];
  if (isRoot) return ["setpriv", `--reuid=${ownId}`, `--regid=${ownId}`, "--clear-groups", ...nothing];
  const command = ["unshare", "--user", `--map-user=${seenId}`, `--map-group=${seenId}`, "--keep-caps", "--"];
  const shared = ["/bin/sh", "-c", partOfWatches, ...command];
  return [...shared, "/bin/sh", "-c", lastNamespace, "setpriv", ...nothing];
}

/**
 * All environments watch files in the name of whoever started the stack, and so do that user's own programs: each gets
 * a quarter of what a user may have (inotify(7)), by the namespace that all of the environment is in (namespaces(7)).
 */
const partOfWatches = `{ for what in instances watches; do
  echo $(($(cat /proc/sys/fs/inotify/max_user_$what) / 4)) >/proc/sys/user/max_inotify_$what
done; } 2>/dev/null; exec "$0" "$@"`;

/** Of the namespace of whoever writes it, and only who has rights there can (namespaces(7)). */
const lastNamespace = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" "$@"';

/** Lets the processes of a run change this file or directory; without a sandbox they can do that already. */
export function giveToRun(path: string, isolation: Isolation): void {
  if (isRoot && isolation === "bubblewrap") chownSync(path, ownId, ownId);
}

/** The same for all that is in a directory: a volume that was filled by another, or without a sandbox. */
export async function giveAllToRun(directory: string, isolation: Isolation): Promise<void> {
  if (!isRoot || isolation === "none" || lstatSync(directory).uid === ownId) return;
  const words = ["-R", "-h", "-P", `${ownId}:${ownId}`, "--", directory];
  const child = spawn("chown", words, { env: { PATH: systemPath }, stdio: "ignore" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error("The volume could not be given to the run");
}

/** Name of the user inside a sandbox. */
export const sandboxUser = "berth";

/** Returns /etc/passwd and /etc/group of a sandbox, which does not show those of the machine. */
export function passwdInside({ name, home, shell }: Account): { readonly passwd: string; readonly group: string } {
  const nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
  return {
    passwd: `root:x:0:0:root:/root:/bin/sh\n${name}:x:${idInside}:${idInside}:${name}:${home}:${shell}\n${nobody}`,
    group: `root:x:0:\n${name}:x:${idInside}:\nnogroup:x:65534:\n`,
  };
}
