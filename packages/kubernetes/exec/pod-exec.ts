import type { ApiClient } from "../client/api-client.ts";
import { ApiUnreachable } from "../client/api-error.ts";

export interface PodCommand {
  /** `/api/v1/namespaces/<namespace>/pods/<name>` */
  readonly pod: string;
  readonly container: string;
  /** The API server's audit log shows these words, so users' text goes to `stdin`. */
  readonly words: readonly string[];
  readonly stdin: Buffer;
  readonly timeoutMs: number;
  /** Limit of both streams together. The call fails when the command writes more. */
  readonly mostBytes: number;
}

export interface PodCommandResult {
  /** null if the command could not be started or its end is unknown; `problem` says why. */
  readonly exitCode: number | null;
  readonly problem: string | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** First byte of each message: its channel. */
export const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;
/** Limit of the status message, and allowance for the channel bytes. */
export const statusBytes = 64 * 1024;
const chunkBytes = 32 * 1024;

/**
 * Runs a command in a container. After the timeout the command continues, because closing the stream does not stop it.
 * Throws `ApiUnreachable` if the connection ends first or the output is too long.
 */
export async function execInPod(client: ApiClient, command: PodCommand): Promise<PodCommandResult> {
  const socket = await client.socket(execPath(command), "v5.channel.k8s.io");
  const received: Record<number, Buffer[]> = { [channel.stdout]: [], [channel.stderr]: [], [channel.status]: [] };
  let bytesLeft = command.mostBytes + statusBytes;
  socket.on("message", (message: Buffer) => {
    bytesLeft -= message.length;
    if (bytesLeft < 0) return socket.terminate();
    // The server may send an empty message, without a channel.
    const [from = channel.close] = message;
    received[from]?.push(message.subarray(1));
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const patience = setTimeout(() => socket.terminate(), command.timeoutMs);
  socket.resume();
  const input = command.stdin;
  for (let at = 0; at < input.length; at += chunkBytes) {
    socket.send(Buffer.concat([Buffer.from([channel.stdin]), input.subarray(at, at + chunkBytes)]));
  }
  socket.send(Buffer.from([channel.close, channel.stdin]));
  await closed;
  clearTimeout(patience);
  if (bytesLeft < 0) throw new ApiUnreachable("exec", "too much");
  const bytes = (from: number) => Buffer.concat(received[from] ?? []);
  const status = bytes(channel.status).toString();
  if (status === "") throw new ApiUnreachable("exec", "cut off");
  return { ...parseEnd(status), stdout: bytes(channel.stdout), stderr: bytes(channel.stderr) };
}

export function execPath(
  { pod, container, words }: Pick<PodCommand, "pod" | "container" | "words">,
  hasTerminal = false,
): string {
  const query = new URLSearchParams();
  for (const word of words) query.append("command", word);
  // A terminal has one stream for both outputs.
  const streams = hasTerminal ? { stdin: "1", stdout: "1", tty: "1" } : { stdin: "1", stdout: "1", stderr: "1" };
  for (const [name, value] of Object.entries({ container, ...streams })) query.set(name, value);
  return `${pod}/exec?${query}`;
}

interface StatusMessage {
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** Returns how a command ended, from the API server's status. */
export function parseEnd(text: string): Pick<PodCommandResult, "exitCode" | "problem"> {
  const { status, message, reason, details } = JSON.parse(text) as StatusMessage;
  if (status === "Success") return { exitCode: 0, problem: null };
  const cause = details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  if (reason === "NonZeroExitCode" && cause !== undefined) return { exitCode: Number(cause), problem: null };
  return { exitCode: null, problem: message ?? "unknown" };
}
