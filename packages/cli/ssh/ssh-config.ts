import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { JobSummary } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { withLock } from "../state/lock.ts";
import { printable } from "../terminal/text.ts";
import { entriesFile, hostAlias, ownFile } from "./ssh-hosts.ts";

/** Reports whether the user's own file has the line. */
export function isIncluded(): boolean {
  return readText(userFile()).split("\n").includes(includeLine());
}

/** Puts one line at the top of the user's own file, unless it is there. */
export function includeHosts(): Promise<void> {
  return withLock("ssh-config", async () => {
    if (!isIncluded()) replaceFile(`${includeLine()}\n${readText(userFile())}`);
  });
}

/** Takes the line out of the user's own file, and removes ours. */
export function removeHosts(): Promise<void> {
  return withLock("ssh-config", async () => {
    const line = includeLine();
    const lines = readText(userFile()).split("\n");
    if (lines.includes(line)) replaceFile(lines.filter((text) => text !== line).join("\n"));
    for (const file of [ownFile(), entriesFile()]) rmSync(file, { force: true });
  });
}

/** Returns the hosts among these that the user's own file names too. */
export function ownHosts(jobs: readonly JobSummary[]): string[] {
  const named = new Set(
    Array.from(readText(userFile()).matchAll(/^\s*Host\s+(.*)$/gim), ([, words = ""]) => words.split(/\s+/)).flat(),
  );
  return jobs.map(hostAlias).filter((alias) => named.has(alias));
}

/** ssh takes some characters of the path as a pattern. */
function includeLine(): string {
  const path = ownFile();
  if (/^[^"\\\n*?[\]~]+$/.test(path)) return `Include "${path}"`;
  throw new CliError(`ssh cannot include ${printable(path)}`, exitCodes.failed, "Set XDG_CONFIG_HOME to a plain path");
}

/** A link leads to the file that is meant, for example one among dotfiles. */
function userFile(): string {
  const path = join(homedir(), ".ssh", "config");
  return existsSync(path) ? realpathSync(path) : path;
}

/** Replaces the user's own file. Throws if it is a link that leads nowhere, or belongs to another user. */
function replaceFile(text: string): void {
  const path = userFile();
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) throw refused("is a link that leads nowhere");
  if (found && found.uid !== process.getuid?.()) throw refused("belongs to another user");
  const draft = `${path}.berth-${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(draft, text, { mode: (found?.mode ?? 0o600) & 0o777, flush: true });
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

function refused(reason: string): CliError {
  const hint = `Add this line to it yourself: ${includeLine()}`;
  return new CliError(`~/.ssh/config ${reason}, so berth does not change it`, exitCodes.failed, hint);
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
