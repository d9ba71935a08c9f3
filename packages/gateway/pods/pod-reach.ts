import type { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import { RunGone } from "#core/problem.ts";
import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import type { RunId } from "#kubernetes/names.ts";
import { type Relay, type RelayPlace, serveRelay } from "#relay/relay.ts";
import type { Program, ProgramEnd, Reach, WantedProgram, WantedWebTerminal } from "../ports/reach.ts";
import type { Use } from "../ports/use.ts";
import { holderWords, terminalStream } from "./pod-terminal.ts";

interface PodRun {
  readonly id: RunId;
  /** Open sessions of the run, which count as use. */
  readonly sessions: Use;
}

/** Reaches pods through a tunnel or the API server. `getRun` throws `RunGone` if a run has ended. */
export function podReach(runs: RunEntry, getRun: (name: string) => PodRun): Reach {
  return {
    start: async (name, wanted) => startProgram(runs, () => getRun(name), wanted),
    // A pod has one loopback: a listener is reachable at either address.
    dial: async (name, { port }) => runs.dial(getRun(name).id, port),
    openTerminal: async (name, wanted) => openTerminal(runs, () => getRun(name), wanted),
    openRelay: async (name, place, onVisitor) => openRelay(runs, () => getRun(name), place, onVisitor),
  };
}

async function startProgram(runs: RunEntry, getRun: () => PodRun, wanted: WantedProgram): Promise<Program> {
  const { session, sessions } = await begin(runs, getRun, buildRequest(wanted));
  sessions.add(session);
  const { input, output, errors } = session;
  const ended = endOf(session);
  // A caller that hangs up no longer waits for the end.
  ended.catch(() => undefined);
  return {
    input,
    output,
    errors: wanted.terminal ? undefined : errors,
    ended,
    resize: session.resize,
    signal: (signal) => void session.signal(signal),
    closeOutput: () => closeOutput(session),
    hangUp: () => {
      sessions.delete(session);
      return session.close();
    },
  };
}

async function begin(runs: RunEntry, getRun: () => PodRun, request: PodSessionRequest) {
  try {
    const { id, sessions } = getRun();
    return { sessions, session: await runs.open(id, request) };
  } catch (error) {
    throw new Error(error instanceof RunGone ? "The environment has ended" : unreachable, { cause: error });
  }
}

/** Connects with a terminal that the tools image's holder keeps. It counts as use while the stream is open. */
async function openTerminal(runs: RunEntry, getRun: () => PodRun, wanted: WantedWebTerminal): Promise<Duplex> {
  const words = holderWords(wanted, shellWords);
  const { session, sessions } = await begin(runs, getRun, { words, env: { TERM: "xterm-256color" } });
  const stream = await terminalStream(session);
  sessions.add(session);
  return stream.once("close", () => sessions.delete(session));
}

/** Starts the relay of the tools image. It is no use of the environment by itself. */
async function openRelay(
  runs: RunEntry,
  getRun: () => PodRun,
  place: RelayPlace,
  onVisitor: (visitor: Duplex) => void,
): Promise<Relay> {
  const { session } = await begin(runs, getRun, { words: [...relayWords, ...place], env: {} });
  const { input, output, errors, ended, close } = session;
  errors.resume();
  const exited = ended.then((exitCode) => {
    if (exitCode === NOT_FOUND) throw new Error(noRelay);
  });
  const relay = serveRelay({ input, output, ended: exited, hangUp: () => void close() }, onVisitor);
  void relay.ended.then(close);
  return relay;
}

const relayWords = ["/bin/sh", "-c", 'exec /.berth/relay "$@"', "sh"];

/** What a shell returns if a program is missing (POSIX, 2.8.2). */
const NOT_FOUND = 127;

const noRelay = "Forwards into this environment need Berth's tools in it, and it started without a tools image";

/**
 * Neither the API server nor a tunnel can close the output of a program. So this discards the next output, and sends the
 * program the signal for writing to a closed pipe (write(2), EPIPE).
 */
function closeOutput({ output, signal }: PodSession): void {
  output.once("data", () => void signal("SIGPIPE"));
  output.resume();
}

const unreachable = "The environment cannot be entered now: its cluster or its machine does not answer";

/** The status may arrive before the last output was read. Output that has no reader is discarded then. */
async function endOf({ output, errors, ended }: PodSession): Promise<ProgramEnd> {
  const exitCode = await ended;
  for (const stream of [output, errors]) if (stream.readableFlowing === null) stream.resume();
  await Promise.allSettled([finished(output), finished(errors)]);
  return { exitCode };
}

/** Sessions start in the home, as with sshd. `scp` relies on it for `~/`. An image's WORKDIR may be elsewhere. */
const enterHome = 'cd -- "$HOME" >/dev/null 2>&1; unset OLDPWD';

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
export SHELL USER LOGNAME="\${LOGNAME:-$USER}" MAIL="\${MAIL:-/var/mail/$USER}"
SSH_TTY="$(tty 2>/dev/null)" && export SSH_TTY || unset SSH_TTY
${enterHome}
command -v bash >/dev/null && exec ${bash} "$@"; exec sh "$@"`;
}

/** The server of the tools image comes first: it serves every image alike. Images without tools may have one. */
const sftpWords = [
  "/bin/sh",
  "-c",
  `${enterHome}
for place in /.berth /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec /usr/lib; do
  [ -x "$place/sftp-server" ] && exec "$place/sftp-server"
done
echo "This image has no sftp-server: install openssh-sftp-server in it, or copy by: tar -c . | ssh ... tar -x" >&2
exit 127`,
];

function buildRequest({ program, env, terminal }: WantedProgram): PodSessionRequest {
  const size = terminal && { columns: terminal.columns, rows: terminal.lines };
  const more = { env: { ...env, ...(terminal && { TERM: terminal.term }) }, terminal: size };
  if (program === "shell") return { words: shellWords, ...more };
  if (program === "sftp") return { words: sftpWords, ...more };
  return { words: commandWords, text: program.command, ...more };
}
