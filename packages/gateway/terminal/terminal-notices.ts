import { hasNoDisk, noDiskMessage } from "#core/environments/record/disk/disk-use.ts";
import { currentNotice } from "#core/environments/steps/notices.ts";
import type { Notice } from "#core/ports/compute.ts";
import { printableText } from "#core/text/printable-text.ts";
import { wordsAtLogin } from "../directory/notice-words.ts";
import type { Seen } from "./terminal-checks.ts";

export interface TerminalNotices {
  /** Shows the notice of the environment, unless the client has seen it. */
  show(seen: Seen): void;
}

export interface NoticeFrame {
  readonly type: "notice";
  readonly kind: Notice["kind"];
  readonly text: string;
}

/**
 * Notices to one client (docs/apis/common.md#web-terminals). Its first one is the current warning, with the time that
 * remains. A new terminal also learns that files are lost without a disk.
 */
export function terminalNotices(
  say: (frame: NoticeFrame) => void,
  { isNew, now }: { readonly isNew: boolean; readonly now: () => number },
): TerminalNotices {
  let shownAt: number | undefined;
  const write = (kind: Notice["kind"], words: string) => say({ type: "notice", kind, text: printableText(words) });
  return {
    show: ({ environment, closing }) => {
      if (!environment) return;
      const notice = currentNotice(environment);
      // Another run of the environment has notices of its own.
      if (closing && notice?.kind !== "end") return;
      const isFirst = shownAt === undefined;
      const isSeen = notice === undefined || notice.at <= (shownAt ?? 0);
      shownAt = isSeen ? (shownAt ?? 0) : notice.at;
      if (!isSeen && !isFirst) write(notice.kind, notice.words);
      if (!isSeen && isFirst && notice.kind !== "news") write(notice.kind, wordsAtLogin(notice, now()));
      if (isFirst && isNew && !closing && hasNoDisk(environment)) write("warning", noDiskMessage("environment"));
    },
  };
}
