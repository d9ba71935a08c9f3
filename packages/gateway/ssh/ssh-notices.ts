import { setTimeout as sleep } from "node:timers/promises";
import type { Connection, ServerChannel } from "ssh2";
import { noDiskMessage } from "#core/environments/record/disk/disk-use.ts";
import type { Notice } from "#core/ports/compute.ts";
import { printableText } from "#core/text/printable-text.ts";
import { utcText } from "#core/text/utc.ts";
import { wordsAtLogin } from "../directory/notice-words.ts";
import type { EndedLogin, EnteredRun, SshDirectory } from "../ports/directory.ts";

export interface SshNotices {
  /**
   * Shows the current warning, and every later notice until the channel closes. A login also learns that files are
   * lost without a disk.
   */
  attach(entered: EnteredRun, channel: ServerChannel, options: { readonly isLogin: boolean }): Promise<void>;
  poll(): Promise<void>;
  /**
   * Shows the last notice at the terminals of this run. If the run may have ended, waits up to two seconds for it.
   */
  sayGoodbye(run: string, isCut: boolean): Promise<void>;
}

interface Shown extends EnteredRun {
  readonly openedAt: number;
  at: number;
}

const GOODBYE_TRIES = 20;
const GOODBYE_EVERY_MS = 100;

export function sshNotices(
  directory: Pick<SshDirectory, "findNotice" | "hasNoDisk" | "findEnded">,
  now: () => number,
): SshNotices {
  const terminals = new Map<ServerChannel, Shown>();
  const show = async (channel: ServerChannel, shown: Shown, options?: { readonly isReadAnew: boolean }) => {
    const notice = await findNewestNotice(directory, shown, options);
    if (!notice || notice.at <= shown.at || !terminals.has(channel)) return;
    shown.at = notice.at;
    channel.write(`\r\n${formatLine(notice.words)}\r\n`);
  };
  return {
    attach: async ({ run, login }, channel, { isLogin }) => {
      // A terminal opens without its notices while the directory is away.
      const notice = await directory.findNotice({ run, login }).catch(() => undefined);
      const hasNoDisk = isLogin && (await directory.hasNoDisk({ run, login }).catch(() => false));
      if (notice?.kind === "warning") channel.write(`${formatLine(wordsAtLogin(notice, now()))}\r\n`);
      if (hasNoDisk) channel.write(`${formatLine(noDiskMessage("environment"))}\r\n`);
      terminals.set(channel, { run, login, openedAt: now(), at: notice?.at ?? 0 });
      channel.once("close", () => terminals.delete(channel));
    },
    poll: async () => {
      await Promise.all([...terminals].map(([channel, shown]) => show(channel, shown)));
    },
    sayGoodbye: async (run, isCut) => {
      const open = () => [...terminals].filter(([, shown]) => shown.run === run);
      const isTold = async () => {
        const find = (shown: Shown) => findNewestNotice(directory, shown, { isReadAnew: true }).catch(() => undefined);
        const notices = open().map(([, shown]) => find(shown));
        return (await Promise.all(notices)).every((notice) => notice?.kind === "end");
      };
      for (let tries = 0; isCut && tries < GOODBYE_TRIES && !(await isTold()); tries += 1)
        await sleep(GOODBYE_EVERY_MS);
      const shows = open().map(([channel, shown]) => show(channel, shown, { isReadAnew: isCut }));
      // A session ends without its last notice while the directory is away.
      await Promise.allSettled(shows);
    },
  };
}

/** A run's files may be removed before its terminals close. Its last notice is then kept with its login. */
async function findNewestNotice(
  directory: Pick<SshDirectory, "findNotice" | "findEnded">,
  { run, login, openedAt }: Omit<Shown, "at">,
  options?: { readonly isReadAnew: boolean },
): Promise<Notice | undefined> {
  const notice = await directory.findNotice({ run, login }, options);
  const ended = notice ? undefined : await directory.findEnded(login);
  // An earlier environment may have had this login.
  return ended && ended.at >= openedAt ? { kind: "end", words: ended.words, at: ended.at } : notice;
}

function formatLine(words: string): string {
  return `[berth] ${printableText(words)}`;
}

/** The limit of a living environment. A client that asks for more is disconnected. */
const MOST_SESSIONS = 10;

export function serveEnded(connection: Connection, { words, at }: Pick<EndedLogin, "words" | "at">, end: () => void) {
  const answer = (channel: ServerChannel | undefined) => {
    channel?.stderr.write(`${formatLine(words)} (${utcText(at)})\r\n`);
    channel?.exit(255);
    channel?.end();
  };
  let sessions = 0;
  connection.on("session", (accept) => {
    sessions += 1;
    if (sessions > MOST_SESSIONS) return end();
    const session = accept();
    session.on("pty", (agree) => agree?.());
    session.on("shell", (open) => answer(open()));
    session.on("exec", (open) => answer(open()));
    session.on("subsystem", (open) => answer(open()));
  });
}
