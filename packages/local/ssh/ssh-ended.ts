import type { Connection, ServerChannel } from "ssh2";
import { utcText } from "#core/text/utc.ts";
import type { EndedLogin } from "#process/exec/notices.ts";
import { formatLine } from "./ssh-notices.ts";

const READ_WITHIN_MS = 10_000;

/** The limit of a living environment. A client that asks for more is disconnected. */
const MOST_SESSIONS = 10;

export function serveEnded(connection: Connection, { words, at }: Pick<EndedLogin, "words" | "at">, end: () => void) {
  setTimeout(end, READ_WITHIN_MS).unref();
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
