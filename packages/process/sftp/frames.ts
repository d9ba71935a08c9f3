/** What a relay inside a run and whoever started it say to each other, of many streams over one pipe. */
export interface Frame {
  readonly kind: (typeof kinds)[number];
  /** Of the stream that it is about; 0 of a hello. */
  readonly id: number;
  readonly content: Buffer;
}

/** `hello`: it listens there, or is connected. `more`: so many bytes were taken, and as many may follow. */
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

/** Takes parts of a stream as they come and answers the whole frames in them. Throws for what is no frame. */
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
