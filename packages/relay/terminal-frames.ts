/**
 * Frames between a gateway and the holder of a terminal in a run: a kind, a length in four bytes, and the content.
 *
 * From the gateway: `attach` (columns and lines in two bytes each, then the offset or all ones), `input`, `size`
 * (columns and lines) and `ack` (offset). From the holder: `hello` (offset of the next output), `output`, `taken` (number
 * of bytes in four bytes), `exit` (code in four bytes) and `replaced`. An offset is a number of bytes of output, in
 * eight bytes.
 */
const kinds = {
  attach: "a",
  input: "i",
  size: "w",
  ack: "k",
  hello: "h",
  output: "o",
  taken: "t",
  exit: "x",
  replaced: "r",
} as const;

export type TerminalFrameKind = keyof typeof kinds;

export interface TerminalFrame {
  readonly kind: TerminalFrameKind;
  readonly content: Buffer;
}

/** Most bytes in either direction that are not acknowledged, and most content of a frame. */
export const TERMINAL_WINDOW = 128 * 1024;

/** Output that a holder keeps. More than the window and one read of a terminal, so a client can return to its place. */
export const KEPT_OUTPUT = 256 * 1024;

const HEAD_BYTES = 5;
const kindOf = new Map<string, TerminalFrameKind>(
  Object.entries(kinds).map(([kind, letter]) => [letter, kind as TerminalFrameKind]),
);

export function terminalFrame(kind: TerminalFrameKind, content: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES, kinds[kind], "latin1");
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

/** Returns the complete frames of each chunk. Throws for invalid frames. */
export function terminalFrameReader(): (part: Buffer) => TerminalFrame[] {
  let waiting = Buffer.alloc(0);
  return (part) => {
    waiting = Buffer.concat([waiting, part]);
    const found: TerminalFrame[] = [];
    while (waiting.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + waiting.readUInt32BE(1);
      const kind = kindOf.get(waiting.toString("latin1", 0, 1));
      if (end > HEAD_BYTES + TERMINAL_WINDOW || !kind) throw new Error("Not a frame of a terminal");
      if (waiting.length < end) break;
      found.push({ kind, content: waiting.subarray(HEAD_BYTES, end) });
      waiting = waiting.subarray(end);
    }
    return found;
  };
}

export interface Size {
  readonly columns: number;
  readonly lines: number;
}

export function sizeBytes({ columns, lines }: Size): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(columns, 0);
  bytes.writeUInt16BE(lines, 2);
  return bytes;
}

export function readSize(content: Buffer): Size {
  return { columns: content.readUInt16BE(0), lines: content.readUInt16BE(2) };
}

export function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Undefined stands for everything that is kept. */
export function offsetBytes(offset: number | undefined): Buffer {
  const bytes = Buffer.alloc(8, 0xff);
  if (offset !== undefined) bytes.writeBigUInt64BE(BigInt(offset));
  return bytes;
}

export function readOffset(content: Buffer, at = 0): number | undefined {
  const offset = Number(content.readBigUInt64BE(at));
  return Number.isSafeInteger(offset) ? offset : undefined;
}
