import type { SshTarget } from "../ssh/ssh-target.ts";
import { jsonText } from "../terminal/text.ts";
import { readFrames } from "./frames.ts";
import type { Interrupts } from "./interrupts.ts";
import { ConnectionLost, end, startScriptIn } from "./remote.ts";
import { followScript, startMark } from "./remote-scripts.ts";

/** How many bytes of each output were printed here. */
export interface Position {
  out: number;
  err: number;
}

interface FollowOptions {
  readonly id: string;
  readonly position: Position;
  readonly interrupts: Interrupts;
  /** Called whenever the job sends something. */
  readonly connected: () => void;
  readonly print: PrintOutput;
}

/** Prints a piece of an output, and waits until it is written. */
export type PrintOutput = (output: "out" | "err", data: Buffer) => Promise<void>;

/** Prints the outputs of a command from a position on, which it moves. Returns the command's exit code. */
export async function follow(
  target: SshTarget,
  { id, position, interrupts, connected, print }: FollowOptions,
): Promise<number> {
  const { signal } = interrupts;
  const child = startScriptIn(target, followScript(id), [String(position.out), String(position.err)]);
  child.stdin.end();
  const closed = end(child, "ssh", signal);
  closed.catch(() => undefined);
  for await (const frame of readFrames(child.stdout, startMark(id))) {
    connected();
    if (frame.kind === "alive") continue;
    if (frame.kind === "exit") return frame.code;
    if (frame.kind === "gone") break;
    await interrupts.quiet();
    signal.throwIfAborted();
    await print(frame.kind, frame.data);
    position[frame.kind] += frame.data.length;
  }
  const { words } = await closed;
  throw new ConnectionLost(words);
}

/** Returns what prints the outputs of a command: unchanged, or each piece as a JSON line. */
export function outputPrinter(jobId: string, json: boolean): PrintOutput {
  if (!json) return (output, data) => write(output === "out" ? process.stdout : process.stderr, data);
  // A character may be cut between two pieces.
  const decoders = {
    out: new TextDecoder("utf-8", { ignoreBOM: true }),
    err: new TextDecoder("utf-8", { ignoreBOM: true }),
  };
  return (output, data) => {
    const text = decoders[output].decode(data, { stream: true });
    return write(process.stdout, `${jsonText({ job_id: jobId, [`std${output}`]: text })}\n`);
  };
}

function write(stream: NodeJS.WriteStream, data: Buffer | string): Promise<void> {
  return new Promise((resolve) => stream.write(data, () => resolve()));
}
