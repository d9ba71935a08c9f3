import type { Notice } from "#core/ports/compute.ts";

/** Environments that SSH keys may enter, and the notices to their users. Keys are `<type> <base64>`. */
export interface SshDirectory {
  /** Returns the living runs of this SSH user name. Two environments may have the same one by chance. */
  find(login: string): readonly SshRun[];
  /** Reports whether a living run still admits a key. */
  admits(run: string, key: string): boolean;
  /** Returns the latest ended environment of this SSH user name. */
  findEnded(login: string): EndedLogin | undefined;
  findNotice(run: string): Notice | undefined;
  /** Reports whether the run has no disk, as far as known. */
  hasNoDisk(run: string): boolean;
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
