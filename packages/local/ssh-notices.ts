import { setTimeout as sleep } from "node:timers/promises";
import type { ServerChannel } from "ssh2";
import { durationText } from "#core/duration-text.ts";
import { noDiskWords } from "#core/environments/record/disk-words.ts";
import type { Notice } from "#core/ports/compute.ts";
import { printableText } from "#core/printable-text.ts";
import type { SshRuns } from "./ssh-runs.ts";

/** Shows the notices of runs at the terminals that are open in them. */
export interface SshNotices {
  /**
   * Shows the warning that holds now, and every later notice until the channel closes. A login is told that its files are
   * lost without a disk.
   */
  attach(run: string, channel: ServerChannel, options: { readonly isLogin: boolean }): void;
  /** Shows new notices. Call it often. */
  look(): void;
  /** Shows the last notice at the terminals of this run. If the run may have ended, waits up to two seconds for it. */
  sayGoodbye(run: string, isCut: boolean): Promise<void>;
}

interface Shown {
  readonly run: string;
  /** The moment of the newest notice that was shown there. */
  at: number;
}

const GOODBYE_TRIES = 20;
const GOODBYE_EVERY_MS = 100;

export function sshNotices(
  { noticeOf, hasNoDisk }: Pick<SshRuns, "noticeOf" | "hasNoDisk">,
  now: () => number,
): SshNotices {
  const terminals = new Map<ServerChannel, Shown>();
  const show = (channel: ServerChannel, shown: Shown): void => {
    const notice = noticeOf(shown.run);
    if (!notice || notice.at <= shown.at) return;
    shown.at = notice.at;
    channel.write(`\r\n${lineOf(notice.words)}\r\n`);
  };
  return {
    attach: (run, channel, { isLogin }) => {
      const notice = noticeOf(run);
      if (notice?.kind === "warning") channel.write(`${lineOf(wordsAtLogin(notice, now()))}\r\n`);
      if (isLogin && hasNoDisk(run)) channel.write(`${lineOf(noDiskWords("environment"))}\r\n`);
      terminals.set(channel, { run, at: notice?.at ?? 0 });
      channel.once("close", () => terminals.delete(channel));
    },
    look: () => {
      for (const [channel, shown] of terminals) show(channel, shown);
    },
    sayGoodbye: async (run, isCut) => {
      for (let tries = 0; isCut && tries < GOODBYE_TRIES && noticeOf(run)?.kind !== "end"; tries += 1) {
        await sleep(GOODBYE_EVERY_MS);
      }
      for (const [channel, shown] of terminals) if (shown.run === run) show(channel, shown);
    },
  };
}

/** Returns a warning with the time that is left now. */
function wordsAtLogin({ words, endsAt }: Notice, now: number): string {
  return endsAt === undefined ? words : `Expires in ${durationText(Math.max(0, endsAt - now))}`;
}

export function lineOf(words: string): string {
  return `[berth] ${printableText(words)}`;
}
