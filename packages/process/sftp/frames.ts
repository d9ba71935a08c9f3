export interface Frame {
  readonly kind: (typeof kinds)[number];
  /** 0 in a hello. */
  readonly id: number;
  readonly content: Buffer;
}

/** `hello` means that the relay listens or is connected. `more` acknowledges bytes and allows as many again. */
const kinds = ["hello", "open", "data", "more", "end", "close"] as const;
const HEAD_BYTES = 9;
export const MOST_CONTENT_BYTES = 64 * 1024;

export function frame(kind: Frame["kind"], id: number, content: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(content.length, 0);
  head.writeUInt8(kinds.indexOf(kind), 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, content]);
}

/** Returns the complete frames of each chunk. Throws for invalid frames. */
export function frameReader(): (part: Buffer) => Frame[] {
  let waiting = Buffer.alloc(0);
  return (part) => {
    waiting = Buffer.concat([waiting, part]);
    const found: Frame[] = [];
    while (waiting.length >= HEAD_BYTES) {
      const length = waiting.readUInt32BE(0);
      const kind = kinds[waiting.readUInt8(4)];
      if (length > MOST_CONTENT_BYTES || !kind) throw new Error("Not a frame");
      if (waiting.length < HEAD_BYTES + length) break;
      found.push({ kind, id: waiting.readUInt32BE(5), content: waiting.subarray(HEAD_BYTES, HEAD_BYTES + length) });
      waiting = waiting.subarray(HEAD_BYTES + length);
    }
    return found;
  };
}
