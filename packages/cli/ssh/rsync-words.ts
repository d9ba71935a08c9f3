import { CliError, exitCodes } from "../failure.ts";
import type { SshTarget } from "./ssh-target.ts";

/** Options of rsync that take the next word as their value. A value such as `a:b` is not a path. */
const valueOptions: ReadonlySet<string> = new Set([
  ...["address", "backup-dir", "block-size", "bwlimit", "checksum-choice", "checksum-seed", "chmod", "chown"],
  ...[
    "compare-dest",
    "compress-choice",
    "compress-level",
    "contimeout",
    "copy-as",
    "copy-dest",
    "debug",
    "early-input",
  ],
  ...["exclude", "exclude-from", "files-from", "filter", "groupmap", "iconv", "include", "include-from", "info"],
  ...["link-dest", "log-file", "log-file-format", "max-alloc", "max-delete", "max-size", "min-size", "modify-window"],
  ...["only-write-batch", "out-format", "outbuf", "partial-dir", "port", "protocol", "read-batch", "remote-option"],
  ...["rsync-path", "skip-compress", "sockopts", "stderr", "stop-after", "stop-at", "suffix", "temp-dir", "timeout"],
  ...["usermap", "write-batch"],
]);

/** A cluster of short options that ends with one that takes the next word. */
const shortValueOption = /^-[^-BTMf@]*[BTMf@]$/;

export interface RsyncPath {
  /** Position among the words. */
  readonly at: number;
  /** Empty where rsync's own form `:path` names the host before. */
  readonly job: string;
  readonly path: string;
}

/** Returns the words that are paths in a job: `JOB:path`, as rsync reads `HOST:path`. */
export function findRemotePaths(words: readonly string[]): RsyncPath[] {
  return findOperands(words).flatMap(({ at, word }) => {
    const [, job, path] = remoteForm.exec(word) ?? [];
    return job === undefined || path === undefined ? [] : [{ at, job, path }];
  });
}

/** Reports whether rsync would write here: its last path is the target, and a single path is only listed. */
export function isPull(words: readonly string[]): boolean {
  const operands = findOperands(words);
  return operands.length > 1 && !remoteForm.test(operands.at(-1)?.word ?? "");
}

const remoteForm = /^([^/:]*):(?!:|\/\/)(.*)$/s;

/** Returns the words that are neither options nor their values. Throws for an option that chooses the remote shell. */
function findOperands(words: readonly string[]): { readonly at: number; readonly word: string }[] {
  const found = [];
  let isValue = false;
  let isPathsOnly = false;
  for (const [at, word] of words.entries()) {
    const isOption: boolean = !isValue && !isPathsOnly && /^-./.test(word);
    if (isOption) refuseShell(word);
    if (!isValue && !isOption) found.push({ at, word });
    isPathsOnly ||= isOption && word === "--";
    isValue = isOption && (shortValueOption.test(word) || valueOptions.has(word.replace(/^--/, "")));
  }
  return found;
}

function refuseShell(word: string): void {
  if (!/^(--rsh(=|$)|-[^-BTMf@e]*e)/.test(word)) return;
  throw new CliError("berth rsync chooses the remote shell itself", exitCodes.usage, "Leave out -e and --rsh");
}

/** Returns the value of rsync's `-e`: ssh with the options of a job. */
export function remoteShell({ options, port }: SshTarget): string {
  return ["ssh", ...options, "-p", port].map(rsyncQuoted).join(" ");
}

/** rsync knows no backslash here. A quote is doubled inside quotes of its kind. */
function rsyncQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "''")}'`;
}

/** Returns the user and host of a job, as rsync and scp take them before a colon. */
export function remoteHost({ user, host }: SshTarget): string {
  return `${user}@${host.includes(":") ? `[${host}]` : host}`;
}
