/** Frame of a pipe that carries several streams. */
export interface Frame {
  readonly kind: (typeof kinds)[number];
  /** Number of the stream; 0 in a hello. */
  readonly id: number;
  readonly content: Buffer;
}

/**
 * `hello` means that the other side listens or is connected. `more` acknowledges bytes and allows as many again.
 * `errors` is the standard error of a program, empty at its end. `message` is JSON for one stream, outside of its window.
 * A relay uses neither of the last two.
 */
const kinds = ["hello", "open", "data", "more", "end", "close", "errors", "message"] as const;
const HEAD_BYTES = 9;
/** Limit of received frames. Only images/tools/streams accepts larger messages, with the command line of a user. */
export const MOST_CONTENT_BYTES = 64 * 1024;

export function frame(kind: Frame["kind"], id: number, content: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(content.length, 0);
  head.writeUInt8(kinds.indexOf(kind), 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, content]);
}

/** Returns the complete frames of each chunk. Throws for invalid frames. Copies a frame once, however many chunks it has. */
export function frameReader(): (part: Buffer) => Frame[] {
  let parts: Buffer[] = [];
  let length = 0;
  let neededBytes = HEAD_BYTES;
  return (part) => {
    parts.push(part);
    length += part.length;
    if (length < neededBytes) return [];
    let waiting = parts.length === 1 ? part : Buffer.concat(parts, length);
    const found: Frame[] = [];
    for (;;) {
      neededBytes = getFrameBytes(waiting);
      if (waiting.length < neededBytes) break;
      const kind = kinds[waiting.readUInt8(4)] as Frame["kind"];
      found.push({ kind, id: waiting.readUInt32BE(5), content: waiting.subarray(HEAD_BYTES, neededBytes) });
      waiting = waiting.subarray(neededBytes);
    }
    parts = waiting.length > 0 ? [waiting] : [];
    length = waiting.length;
    return found;
  };
}

/** Returns the length of the frame that begins here, or of its head if that is incomplete. Throws for invalid heads. */
function getFrameBytes(bytes: Buffer): number {
  if (bytes.length < HEAD_BYTES) return HEAD_BYTES;
  const contentBytes = bytes.readUInt32BE(0);
  if (contentBytes > MOST_CONTENT_BYTES || kinds[bytes.readUInt8(4)] === undefined) throw new Error("Not a frame");
  return HEAD_BYTES + contentBytes;
}
