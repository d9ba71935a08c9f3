import { type Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";
import type { ApiClient } from "../client/api-client.ts";
import { ApiUnreachable } from "../client/api-error.ts";
import { channel, execInPod, execPath, parseEnd, statusBytes } from "./pod-exec.ts";
import { type FlowStream, keepOpen, podFlow } from "./pod-flow.ts";
import { signalQueue } from "./signal-queue.ts";

export interface PodSessionRequest {
  /** Words of the command. The API server's audit log shows them. */
  readonly words: readonly string[];
  /** Last word of the command. A session without a terminal passes it on standard input, which no log shows. */
  readonly text?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** undefined: three separate streams. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
}

/** Command in a container with a connected client. */
export interface PodSession {
  readonly input: Writable;
  readonly output: Readable;
  readonly errors: Readable;
  resize(columns: number, rows: number): void;
  /** Exit code. Rejects if the command could not be started or its end is unknown. */
  readonly ended: Promise<number>;
  /** Signals the process group of the command, as sshd does. Resolves after that. Sends one signal at a time. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Hangs up the command, which the runtime does not do when a stream closes. Resolves after that. */
  close(): Promise<void>;
}

export interface PodPlace {
  /** `/api/v1/namespaces/<namespace>/pods/<name>` */
  readonly pod: string;
  readonly container: string;
}

/**
 * Prints its process id first, so that it can be hung up. Arguments: `<lines of the text> <variables> <variable …>
 * <word …>`. A shell reads a pipe byte by byte, so the command gets all input after the text.
 */
const sessionScript = `
echo "$$"
_berth_lines=$1 _berth_count=$2
shift 2
while [ "$_berth_count" -gt 0 ]; do export "$1"; shift; _berth_count=$((_berth_count - 1)); done
[ "$_berth_lines" -eq 0 ] && exec "$@"
_berth_text=
while :; do
  IFS= read -r _berth_line || exit 72
  _berth_text=$_berth_text$_berth_line _berth_lines=$((_berth_lines - 1))
  [ "$_berth_lines" -eq 0 ] && exec "$@" "$_berth_text"
  _berth_text="$_berth_text
"
done`;

/**
 * Script that signals the whole group, as a closed terminal does. Processes started with setsid go on. Arguments:
 * `<signal> <process id>`.
 */
const signalScript = 'kill -s "$1" -- "-$2" || kill -s "$1" "$2"';

const chunkBytes = 32 * 1024;
const signalWithinMs = 5_000;
const signalTries = 3;
const headWithinMs = 20_000;
const mostHeadBytes = 32;

interface OpenSession {
  readonly socket: WebSocket;
  readonly output: FlowStream;
  readonly errors: FlowStream;
  /** Process id of the command. */
  readonly head: PromiseWithResolvers<number>;
  readonly over: PromiseWithResolvers<number>;
  /** Incomplete first line; undefined once the line is complete. */
  headBytes: Buffer | undefined;
  status: Buffer;
}

export async function openPodSession(
  client: ApiClient,
  place: PodPlace,
  request: PodSessionRequest,
): Promise<PodSession> {
  const hasTerminal = request.terminal !== undefined;
  const { words, input: firstInput } = getWords(request);
  const socket = await client.socket(execPath({ ...place, words }, hasTerminal), "v5.channel.k8s.io");
  keepOpen(socket);
  const session = readSession(socket);
  const input = sessionInput(session);
  const resize = (columns: number, rows: number) =>
    send(socket, channel.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows })), () => undefined);
  if (request.terminal) resize(request.terminal.columns, request.terminal.rows);
  if (firstInput.length > 0) input.write(firstInput);
  let closing: Promise<void> | undefined;
  return {
    input,
    output: session.output.readable,
    errors: session.errors.readable,
    resize,
    ended: session.over.promise,
    signal: signalQueue(async (signal) => {
      if (!closing) await signalCommand(client, place, session, signal);
    }),
    close: () => {
      closing ??= endSession(client, place, session);
      return closing;
    },
  };
}

/** Reads the messages of a paused socket into streams, and resumes it. */
function readSession(socket: WebSocket): OpenSession {
  const flow = podFlow(socket);
  const session: OpenSession = {
    socket,
    output: flow.stream(),
    errors: flow.stream(),
    head: Promise.withResolvers(),
    over: Promise.withResolvers(),
    headBytes: Buffer.alloc(0),
    status: Buffer.alloc(0),
  };
  const { head, over } = session;
  for (const { promise } of [head, over]) promise.catch(() => undefined);
  socket.on("message", (message: Buffer) => takeMessage(session, message));
  socket.once("close", () => {
    head.reject(new ApiUnreachable("exec", "cut off"));
    over.resolve(getExitCode(session.status));
    flow.end();
  });
  socket.resume();
  return session;
}

function takeMessage(session: OpenSession, message: Buffer): void {
  // The server may send an empty message, without a channel.
  const [from = channel.close] = message;
  const bytes = message.subarray(1);
  if (bytes.length === 0) return;
  const { output, errors, headBytes, status } = session;
  if (from === channel.stdout && headBytes) takeHead(session, bytes, headBytes);
  else if (from === channel.stdout) output.push(bytes);
  else if (from === channel.stderr) errors.push(bytes);
  else if (from === channel.status && status.length < statusBytes) session.status = Buffer.concat([status, bytes]);
}

function takeHead(session: OpenSession, bytes: Buffer, knownBytes: Buffer): void {
  const { head, output } = session;
  const all = Buffer.concat([knownBytes, bytes]);
  const end = all.indexOf("\n");
  session.headBytes = end < 0 && all.length < mostHeadBytes ? all : undefined;
  if (session.headBytes) return;
  const [, pid] = /^(\d+)\r?$/.exec(all.subarray(0, Math.max(end, 0)).toString()) ?? [];
  if (pid === undefined) head.reject(new Error("The command did not report its process id"));
  else head.resolve(Number(pid));
  const rest = all.subarray(pid === undefined ? 0 : end + 1);
  if (rest.length > 0) output.push(rest);
}

function sessionInput({ socket, head }: OpenSession): Writable {
  const begun = head.promise.then(
    () => undefined,
    () => undefined,
  );
  const input = new Writable({
    // A terminal would echo earlier input into the first line.
    write: (bytes: Buffer, _, done) => {
      void begun.then(() => sendAll(bytes, (part, then) => send(socket, channel.stdin, part, then), done));
    },
    final: (done) => {
      void begun.then(() => socket.send(Buffer.from([channel.close, channel.stdin]), () => done()));
    },
  });
  return input.on("error", () => undefined);
}

async function endSession(client: ApiClient, place: PodPlace, session: OpenSession): Promise<void> {
  const { socket, output, errors } = session;
  // The streams have no reader any more. A full one would pause the socket and hide its end.
  for (const { readable } of [output, errors]) readable.destroy();
  const late = setTimeout(() => socket.terminate(), headWithinMs);
  await signalCommand(client, place, session, "SIGHUP");
  clearTimeout(late);
  socket.terminate();
}

function getWords({ words, text, env, terminal }: PodSessionRequest): { words: string[]; input: Buffer } {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const isHidden = text !== undefined && !terminal;
  const lines = isHidden ? text.split("\n").length : 0;
  const shown = text === undefined || isHidden ? words : [...words, text];
  return {
    words: ["/bin/sh", "-c", sessionScript, "berth", String(lines), String(variables.length), ...variables, ...shown],
    input: Buffer.from(isHidden ? `${text}\n` : ""),
  };
}

function send(socket: WebSocket, to: number, bytes: Buffer, done: (error?: Error | null) => void): void {
  socket.send(Buffer.concat([Buffer.from([to]), bytes]), done);
}

function sendAll(
  bytes: Buffer,
  send: (part: Buffer, then: (error?: Error | null) => void) => void,
  done: (error?: Error | null) => void,
): void {
  const part = bytes.subarray(0, chunkBytes);
  send(part, (error) => {
    if (error || part.length === bytes.length) done(error);
    else sendAll(bytes.subarray(part.length), send, done);
  });
}

async function getExitCode(status: Buffer): Promise<number> {
  if (status.length === 0) throw new ApiUnreachable("exec", "cut off");
  const exitCode = exitCodeIn(status.toString());
  if (exitCode === null) throw new Error("The command could not be started: the image may have no /bin/sh");
  return exitCode;
}

function exitCodeIn(status: string): number | null {
  try {
    return parseEnd(status).exitCode;
  } catch {
    return null;
  }
}

/** Does nothing if the command has ended. */
async function signalCommand(
  client: ApiClient,
  place: PodPlace,
  session: OpenSession,
  signal: NodeJS.Signals,
): Promise<void> {
  const pid = await session.head.promise.catch(() => undefined);
  for (let left = signalTries; left > 0 && pid !== undefined && session.status.length === 0; left--) {
    try {
      await execInPod(client, {
        ...place,
        words: ["/bin/sh", "-c", signalScript, "berth", signal.slice("SIG".length), String(pid)],
        stdin: Buffer.alloc(0),
        timeoutMs: signalWithinMs,
        mostBytes: chunkBytes,
      });
      return;
    } catch (error) {
      if (!(error instanceof ApiUnreachable)) return;
    }
  }
}
