import type { LogPart } from "../../../ports/run-log.ts";

export interface PartOptions {
  readonly after: number;
  readonly mostBytes: number;
  /** Whether the window ends the output, so that an incomplete character at its end stays incomplete. */
  readonly isComplete: boolean;
}

/** Returns whole characters from a position on. Skips the rest of a character at the window's start. */
export function partOfWindow({ start, bytes }: LogPart, { after, mostBytes, isComplete }: PartOptions): LogPart {
  const from = after >= start ? Math.min(after - start, bytes.length) : wholeFrom(bytes);
  const to = Math.min(from + mostBytes, bytes.length);
  const half = to === bytes.length && isComplete ? 0 : halfCharacterBefore(bytes.subarray(from, to));
  return { start: start + from, bytes: bytes.subarray(from, to - half) };
}

const isContinuation = (byte = 0) => (byte & 0xc0) === 0x80;

function wholeFrom(bytes: Uint8Array): number {
  const at = bytes.subarray(0, 4).findIndex((byte) => !isContinuation(byte));
  return Math.max(0, at);
}

function halfCharacterBefore(bytes: Uint8Array): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length];
    if (!isContinuation(byte)) return length < lengthFrom(byte) ? length : 0;
  }
  return 0;
}

/** Returns the length of the character that begins with this byte (RFC 3629 section 3). */
function lengthFrom(first = 0): number {
  if (first >= 0xf5) return 1;
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc2 ? 2 : 1;
}
