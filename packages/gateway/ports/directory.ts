import type { Notice } from "#core/ports/compute.ts";

/**
 * Environments that SSH keys may enter, and the notices to their users. Keys are `<type> <base64>`. A method rejects
 * if its store is away: open connections then go on, and new ones are refused.
 */
export interface SshDirectory {
  /** Returns the living runs of this SSH user name. Two environments may have the same one by chance. */
  find(login: string): Promise<readonly SshRun[]>;
  /** Reports whether a living run still admits a key. The answer may be 5 s old. */
  admits(entered: EnteredRun, key: string): Promise<boolean>;
  /** Returns the latest ended environment of this SSH user name. */
  findEnded(login: string): Promise<EndedLogin | undefined>;
  /** Returns the newest notice. A cached answer may miss a notice of the last 5 s; `isReadAnew` avoids that. */
  findNotice(entered: EnteredRun, options?: { readonly isReadAnew: boolean }): Promise<Notice | undefined>;
  /** Reports whether the run has no disk, as far as known. */
  hasNoDisk(entered: EnteredRun): Promise<boolean>;
}

export interface EnteredRun {
  readonly run: string;
  readonly login: string;
}

interface SshRun {
  readonly name: string;
  readonly keys: readonly string[];
}

export interface EndedLogin {
  /** Keys that may read why the environment ended. */
  readonly keys: readonly string[];
  readonly words: string;
  readonly at: number;
}
