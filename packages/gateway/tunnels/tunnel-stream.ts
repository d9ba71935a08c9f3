import { ApiUnreachable } from "#kubernetes/client/api-error.ts";
import { type Frame, frame as formatFrame } from "#relay/frames.ts";
import type { ReceiveWindow } from "#relay/receive-window.ts";
import type { WhenDrained } from "#relay/windows.ts";

/** One program or connection at the other side of a tunnel. */
export interface TunnelStream<Opened> {
  /** Rejects if the other side did not open it. */
  readonly opened: Promise<Opened>;
  /** Takes a frame for this stream. Throws if the frame breaks the protocol. */
  takeFrame(frame: Frame): void;
  /** Ends the stream without its other side. */
  cutOff(): void;
}

/** Callbacks of a stream into its tunnel. */
export interface StreamHooks {
  readonly send: (bytes: Buffer) => void;
  readonly whenDrained: WhenDrained;
  /** Counts what the stream receives. The stream closes it once nothing of that is left. */
  readonly window: ReceiveWindow;
  /** Forgets the stream. */
  readonly leave: () => void;
}

/** Message of the other side: the port or the program is there, or how the program ended. */
interface TunnelAnswer {
  readonly isOpen?: boolean;
  readonly exitCode?: number;
}

export function newCutOffError(): Error {
  return new ApiUnreachable("tunnel", "cut off");
}

export function formatMessage(id: number, content: object): Buffer {
  return formatFrame("message", id, Buffer.from(JSON.stringify(content)));
}

const MOST_ANSWER_BYTES = 256;

/** Reads a message of a run, whose user may have replaced the program. Throws if the message breaks the protocol. */
export function parseAnswer({ content }: Frame): TunnelAnswer {
  if (content.length > MOST_ANSWER_BYTES) throw new Error("Not an answer");
  const { isOpen, exitCode } = (JSON.parse(content.toString()) ?? {}) as Record<string, unknown>;
  if (isOpen === true) return { isOpen };
  if (Number.isInteger(exitCode)) return { exitCode: exitCode as number };
  throw new Error("Not an answer");
}
