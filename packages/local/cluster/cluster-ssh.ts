import { finished } from "node:stream/promises";
import type { ServerChannel } from "ssh2";
import { RunGone } from "#core/problem.ts";
import { printableText } from "#core/text/printable-text.ts";
import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import type { ClientRelays } from "../ssh/channels/ssh-relay.ts";
import {
  cells,
  getTerm,
  mayBeCut,
  type SshRuns,
  type TerminalInfo,
  type WantedSession,
} from "../ssh/channels/ssh-runs.ts";
import type { ClusterEntries, Entry } from "./cluster-entries.ts";

export function clusterSshRuns(entries: ClusterEntries, runs: RunEntry): SshRuns {
  const toEntry = (name: string): Entry => {
    const entry = entries.find(name);
    if (!entry || entry.isOver) throw new RunGone();
    return entry;
  };
  return {
    find: (login) =>
      entries.all().flatMap(({ id, isOver, kept: { access } }) => {
        return access?.login === login && !isOver ? [{ name: nameOfRun(id), keys: access.keys }] : [];
      }),
    admits: (name, key) => {
      const entry = entries.find(name);
      return entry !== undefined && !entry.isOver && (entry.kept.access?.keys.includes(key) ?? false);
    },
    findNotice: (name) => entries.find(name)?.notice,
    hasNoDisk: (name) => entries.find(name)?.kept.hasNoDisk === true,
    findEnded: (login) => entries.findEnded(login),
    async start(name, channel, wanted) {
      const pty = wanted.pty();
      const { sessions, session } = await begin(runs, toEntry, name, buildRequest(wanted, pty));
      channel.once("close", () => {
        sessions.delete(session);
        void session.close();
      });
      const beforeEnd = pty ? wanted.sayGoodbye : async () => undefined;
      join(channel, session, { hasTerminal: pty !== undefined, beforeEnd });
      return { resize: (columns, rows) => session.resize(cells(columns, 80), cells(rows, 24)) };
    },
    // A pod has one loopback: a listener is reachable at either address.
    dial: async (name, { port }) => runs.dial(toEntry(name).id, port),
    openRelays: () => noRelays,
  };
}

async function begin(runs: RunEntry, toEntry: (name: string) => Entry, name: string, request: PodSessionRequest) {
  try {
    const { id, sessions } = toEntry(name);
    const session = await runs.open(id, request);
    sessions.add(session);
    return { sessions, session };
  } catch (error) {
    throw new Error(error instanceof RunGone ? "The environment has ended" : unreachable, { cause: error });
  }
}

const unreachable = "The environment cannot be entered now: its cluster or its machine does not answer";

/**
 * A plain shell as with `kubectl exec`. A login shell would read a profile that may reset PATH and hide the image's
 * programs.
 */
const shellWords = ["/bin/sh", "-c", loginBy("bash"), "sh"];

/**
 * Runs the next word as a command line in the user's shell. Without --norc, bash reads ~/.bashrc for each command of
 * an SSH client, and an image's may print.
 */
const commandWords = ["/bin/sh", "-c", loginBy("bash --norc"), "sh", "-c", "--"];

function loginBy(bash: string): string {
  return `: "\${SHELL:=$(command -v bash || command -v sh)}" "\${USER:=$(id -un 2>/dev/null || id -u)}"
export SHELL USER LOGNAME="\${LOGNAME:-$USER}"
command -v bash >/dev/null && exec ${bash} "$@"; exec sh "$@"`;
}

const sftpWords = [
  "/bin/sh",
  "-c",
  `for place in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec /usr/lib; do
  [ -x "$place/sftp-server" ] && exec "$place/sftp-server"
done
echo "This image has no sftp-server: install openssh-sftp-server in it, or copy by: tar -c . | ssh ... tar -x" >&2
exit 127`,
];

function buildRequest({ program, env }: WantedSession, pty: TerminalInfo | undefined): PodSessionRequest {
  const terminal = pty && { columns: cells(pty.cols, 80), rows: cells(pty.rows, 24) };
  const more = { env: { ...env, ...(pty && { TERM: getTerm(pty) }) }, terminal };
  if (program === "shell") return { words: shellWords, ...more };
  if (program === "sftp") return { words: sftpWords, ...more };
  return { words: commandWords, text: program.command, ...more };
}

interface Joining {
  readonly hasTerminal: boolean;
  readonly beforeEnd: (isCut: boolean) => Promise<void>;
}

function join(channel: ServerChannel, session: PodSession, { hasTerminal, beforeEnd }: Joining): void {
  const { input, output, errors } = session;
  for (const stream of [input, output, errors, channel]) stream.on("error", () => undefined);
  output.pipe(channel, { end: false });
  errors.pipe(channel.stderr, { end: false });
  channel.pipe(input, { end: !hasTerminal });
  void endWith(channel, session, beforeEnd);
}

async function endWith(
  channel: ServerChannel,
  { output, errors, ended }: PodSession,
  beforeEnd: (isCut: boolean) => Promise<void>,
): Promise<void> {
  await Promise.allSettled([finished(output), finished(errors)]);
  await beforeEnd(await isCutOff(ended));
  try {
    channel.exit(await ended);
  } catch (error) {
    channel.stderr.write(`${printableText(error instanceof Error ? error.message : unreachable)}\r\n`);
    channel.exit(255);
  }
  // End stderr first: ending the channel would cut off its pending output.
  channel.stderr.end(() => channel.end());
}

async function isCutOff(ended: Promise<number>): Promise<boolean> {
  return ended.then(mayBeCut, () => true);
}

/** Nothing in a pod can listen for a client: that needs a program of ours inside. */
const noRelays: ClientRelays = {
  answer: async ({ reject }) => reject?.(),
  answered: async () => undefined,
  agent: async () => undefined,
  dial: async (_path, _accept, reject) => reject(),
  close: () => undefined,
};
