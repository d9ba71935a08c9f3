import { ApiUnreachable } from "#kubernetes/client/api-error.ts";
import { type Frame, frame } from "#relay/frames.ts";

/** One program or connection at the other side of a tunnel. */
export interface TunnelLine<Opened> {
  /** Rejects if the other side did not open it. */
  readonly opened: Promise<Opened>;
  /** Takes a frame for this line. Throws if it is not in the protocol. */
  take(frame: Frame): void;
  /** Ends the line without its other side. */
  cut(): void;
}

/** What a line needs of its tunnel. */
export interface LineEnds {
  readonly send: (bytes: Buffer) => void;
  /** Forgets the line. */
  readonly leave: () => void;
}

/** Message of the other side: the port or the program is there, or how the program ended. */
interface TunnelAnswer {
  readonly isOpen?: boolean;
  readonly exitCode?: number;
}

export const cutOff = (): Error => new ApiUnreachable("tunnel", "cut off");

export function message(id: number, content: object): Buffer {
  return frame("message", id, Buffer.from(JSON.stringify(content)));
}

/** Reads the message of a run, whose user may have replaced the program. Throws if it is not in the protocol. */
export function parseAnswer({ content }: Frame): TunnelAnswer {
  const { isOpen, exitCode } = (JSON.parse(content.toString()) ?? {}) as Record<string, unknown>;
  if (isOpen === true) return { isOpen };
  if (Number.isInteger(exitCode)) return { exitCode: exitCode as number };
  throw new Error("Not an answer");
}
