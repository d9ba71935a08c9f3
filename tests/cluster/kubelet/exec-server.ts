import { spawn } from "node:child_process";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { RunningContainer } from "../container/container.ts";
import { type Guard, inside, toExitCode } from "../container/container-process.ts";
import { acceptChannels } from "./channels.ts";
import { acceptSpdy, type StreamListener, type Streams } from "./spdy.ts";

export interface ExecRequest {
  readonly query: URLSearchParams;
  readonly container: RunningContainer;
  readonly cwd: string;
  readonly guard: Guard;
}

const channelNames = ["stdin", "stdout", "stderr", "error", "resize"];

/**
 * Runs a command for exec. For a client of WebSocket v5 the API server speaks SPDY with the kubelet; it passes v4
 * through.
 */
export function acceptExec(request: IncomingMessage, socket: Duplex, head: Buffer, input: ExecRequest): void {
  const { query } = input;
  const isTty = query.get("tty") === "1";
  const listener = execSession(input, isTty);
  if (request.headers.upgrade?.toLowerCase() === "websocket") {
    acceptChannels(request, socket, head, (channels) => {
      listener.ready({
        send: (name, data) => channels.send(channelNames.indexOf(name), data),
        end: () => channels.close(),
      });
      return {
        data: (channel, bytes) => listener.data(channelNames[channel] ?? "", bytes),
        gone: () => listener.gone(),
      };
    });
    return;
  }
  const wants = (name: string) => query.get(name) === "1";
  const names = [
    "error",
    ...(wants("input") ? ["stdin"] : []),
    ...(wants("output") ? ["stdout"] : []),
    ...(wants("error") && !isTty ? ["stderr"] : []),
    ...(isTty ? ["resize"] : []),
  ];
  acceptSpdy(request, socket, head, names, listener);
}

interface Command {
  write(data: Buffer | undefined): void;
  resize(columns: number, rows: number): void;
}

interface CommandOptions {
  readonly words: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  /**
   * Called with the first process, which leads its own session as under runc. Returns a function to call at its end.
   */
  begun(pid: number | undefined): () => void;
}

function execSession({ query, container, cwd, guard }: ExecRequest, isTty: boolean): StreamListener {
  const begun = (pid: number | undefined) => (pid === undefined ? () => undefined : endWith(container, pid, guard));
  const words = container.files.command(query.getAll("command"));
  const options = { words, env: inside({ ...container.env }), cwd, begun };
  let command: Promise<Command> | undefined;
  const use = (then: (running: Command) => void) => void command?.then(then, () => undefined);
  return {
    ready(streams) {
      const end = ender(streams);
      command = isTty ? startTerminal(options, streams, end) : startCommand(options, streams, end);
      command.catch((error: Error) => end(undefined, error.message));
    },
    data(name, bytes) {
      if (name === "stdin") use((running) => running.write(bytes));
      if (name !== "resize" || bytes === undefined) return;
      const { Width, Height } = JSON.parse(bytes.toString()) as { Width: number; Height: number };
      use((running) => running.resize(Width, Height));
    },
    // Closing a stream ends no command (containerd, CRI-O).
    gone: () => undefined,
  };
}

/** Ends a command with the first process of its container. */
function endWith(container: RunningContainer, processGroup: number, guard: Guard): () => void {
  const release = guard(processGroup);
  let isOver = false;
  const over = () => {
    if (!isOver) release();
    isOver = true;
  };
  void container.ended.then(() => {
    try {
      if (!isOver) process.kill(-processGroup, "SIGKILL");
    } catch (error) {
      // It may have ended just before its exit is reported here.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    over();
  });
  return over;
}

type End = (exitCode: number | undefined, problem?: string) => void;

/** Returns a function that writes the status to the error stream, once. */
function ender(streams: Streams): End {
  let hasEnded = false;
  return (exitCode, problem) => {
    if (hasEnded) return;
    hasEnded = true;
    streams.send("error", Buffer.from(JSON.stringify({ metadata: {}, ...execStatus(exitCode, problem) })));
    streams.end();
  };
}

function execStatus(exitCode: number | undefined, problem = ""): object {
  if (exitCode === 0) return { status: "Success" };
  if (exitCode === undefined) return { status: "Failure", message: problem, reason: "InternalError", code: 500 };
  return {
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}

async function startCommand({ words, env, cwd, begun }: CommandOptions, streams: Streams, end: End): Promise<Command> {
  const [file = "", ...args] = words;
  const child = spawn(file, args, { env, cwd, detached: true, stdio: "pipe" });
  child.once("exit", begun(child.pid));
  child.stdin.on("error", () => undefined);
  child.stdout.on("data", (data: Buffer) => streams.send("stdout", data));
  child.stderr.on("data", (data: Buffer) => streams.send("stderr", data));
  child.on("error", ({ message }) => end(undefined, `error executing command in container: ${message}`));
  child.on("close", (code, signal) => end(code ?? toExitCode(signal)));
  return {
    write: (data) => (data === undefined ? child.stdin.end() : child.stdin.write(data)),
    resize: () => undefined,
  };
}

async function startTerminal({ words, env, cwd, begun }: CommandOptions, streams: Streams, end: End): Promise<Command> {
  const { spawn: spawnTerminal } = await import("@lydell/node-pty");
  const [file = "", ...args] = words;
  const terminal = spawnTerminal(file, args, { env, cwd, cols: 80, rows: 24 });
  terminal.onExit(begun(terminal.pid));
  terminal.onData((data) => streams.send("stdout", Buffer.from(data)));
  terminal.onExit(({ exitCode, signal }) => end(signal ? 128 + signal : exitCode));
  return {
    write: (data) => terminal.write(data?.toString() ?? "\u0004"),
    resize: (columns, rows) => terminal.resize(columns, rows),
  };
}
