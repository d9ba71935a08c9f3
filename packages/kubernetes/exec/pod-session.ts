import { type Readable, Writable } from "node:stream";
import type { ApiClient } from "../client/api-client.ts";
import { ApiUnreachable } from "../client/api-error.ts";
import { channel, execInPod, execPath, parseEnd, statusBytes } from "./pod-exec.ts";
import { keepOpen, podFlow } from "./pod-flow.ts";

export interface PodSessionRequest {
  /** Run as they are. The API server's audit log shows them. */
  readonly words: readonly string[];
  /** One more word, which without a terminal comes by standard input: nobody sees it but the command. */
  readonly text?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** undefined: three streams apart. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
}

/** A command in a container for as long as somebody is there with it. */
export interface PodSession {
  readonly input: Writable;
  readonly output: Readable;
  /** With a terminal nothing comes there. */
  readonly errors: Readable;
  resize(columns: number, rows: number): void;
  /** Its exit code. Rejects where it could not be started, or nobody can tell. */
  readonly ended: Promise<number>;
  /** Hangs up on what still runs: the container's runtime does not, when a stream closes. Resolves when that is done. */
  close(): Promise<void>;
}

export interface PodPlace {
  /** `/api/v1/namespaces/<namespace>/pods/<name>` */
  readonly pod: string;
  readonly container: string;
}

/**
 * Says first which process it is, so that it can be hung up on. `<lines of the text> <variables> <variable …> <word …>`; a
 * shell reads a pipe byte by byte, so what follows the text is the command's. Names of its own must be nobody's.
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

/** The whole group, as a terminal that is closed does: what was started with nohup or setsid goes on. */
const hangUpScript = 'kill -HUP "-$1" || kill -HUP "$1"';

const chunkBytes = 32 * 1024;
const hangUpWithinMs = 5_000;
const hangUpTries = 3;
/** So long a command that was just begun may take to say which it is. */
const headWithinMs = 20_000;
/** A first line is a number. */
const mostHeadBytes = 32;

export async function openPodSession(
  client: ApiClient,
  place: PodPlace,
  request: PodSessionRequest,
): Promise<PodSession> {
  const hasTerminal = request.terminal !== undefined;
  const { words, input: firstInput } = getWords(request);
  const socket = await client.socket(execPath({ ...place, words }, hasTerminal), "v5.channel.k8s.io");
  keepOpen(socket);
  const flow = podFlow(socket);
  const [output, errors] = [flow.stream(), flow.stream()];
  const head = Promise.withResolvers<number>();
  const over = Promise.withResolvers<number>();
  for (const { promise } of [head, over]) promise.catch(() => undefined);
  let status: Buffer = Buffer.alloc(0);
  let headBytes: Buffer | undefined = Buffer.alloc(0);

  const send = (to: number, bytes: Buffer, done: (error?: Error | null) => void) =>
    socket.send(Buffer.concat([Buffer.from([to]), bytes]), done);
  const takeHead = (bytes: Buffer, knownBytes: Buffer) => {
    const all = Buffer.concat([knownBytes, bytes]);
    const end = all.indexOf("\n");
    headBytes = end < 0 && all.length < mostHeadBytes ? all : undefined;
    if (headBytes) return;
    const [, pid] = /^(\d+)\r?$/.exec(all.subarray(0, Math.max(end, 0)).toString()) ?? [];
    if (pid === undefined) head.reject(new Error("It did not say which process it is"));
    else head.resolve(Number(pid));
    const rest = all.subarray(pid === undefined ? 0 : end + 1);
    if (rest.length > 0) output.push(rest);
  };
  socket.on("message", (message: Buffer) => {
    // The server may send an empty message, which is of no channel.
    const [from = channel.close] = message;
    const bytes = message.subarray(1);
    if (bytes.length === 0) return;
    if (from === channel.stdout && headBytes) takeHead(bytes, headBytes);
    else if (from === channel.stdout) output.push(bytes);
    else if (from === channel.stderr) errors.push(bytes);
    else if (from === channel.status && status.length < statusBytes) status = Buffer.concat([status, bytes]);
  });
  socket.once("close", () => {
    head.reject(new ApiUnreachable("exec", "cut off"));
    over.resolve(getExitCode(status));
    flow.end();
  });
  socket.resume();

  const begun = head.promise.then(
    () => undefined,
    () => undefined,
  );
  const input = new Writable({
    // What is typed before the command runs would be echoed into its first line.
    write: (bytes: Buffer, _, done) => {
      void begun.then(() => sendAll(bytes, (part, then) => send(channel.stdin, part, then), done));
    },
    final: (done) => {
      void begun.then(() => socket.send(Buffer.from([channel.close, channel.stdin]), () => done()));
    },
  });
  input.on("error", () => undefined);
  const resize = (columns: number, rows: number) =>
    send(channel.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows })), () => undefined);
  if (request.terminal) resize(request.terminal.columns, request.terminal.rows);
  if (firstInput.length > 0) input.write(firstInput);

  const end = async () => {
    // Nobody reads any more: else the end of it would not be seen.
    for (const { readable } of [output, errors]) readable.destroy();
    const late = setTimeout(() => socket.terminate(), headWithinMs);
    const pid = await head.promise.catch(() => undefined);
    if (pid !== undefined && status.length === 0) await hangUp(client, place, pid);
    clearTimeout(late);
    socket.terminate();
  };
  let closing: Promise<void> | undefined;
  return {
    input,
    output: output.readable,
    errors: errors.readable,
    resize,
    ended: over.promise,
    close: () => {
      closing ??= end();
      return closing;
    },
  };
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
  if (exitCode === null) throw new Error("It could not be started: there may be no /bin/sh in this image");
  return exitCode;
}

/** null: nobody can tell. */
function exitCodeIn(status: string): number | null {
  try {
    return parseEnd(status).exitCode;
  } catch {
    return null;
  }
}

async function hangUp(client: ApiClient, place: PodPlace, pid: number): Promise<void> {
  for (let left = hangUpTries; left > 0; left--) {
    try {
      await execInPod(client, {
        ...place,
        words: ["/bin/sh", "-c", hangUpScript, "berth", String(pid)],
        stdin: Buffer.alloc(0),
        timeoutMs: hangUpWithinMs,
        mostBytes: chunkBytes,
      });
      return;
    } catch (error) {
      if (!(error instanceof ApiUnreachable)) return;
    }
  }
}
