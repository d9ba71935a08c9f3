import type { Stats } from "node:fs";

/** Throws `RangeError` if the packet is too short. */
export interface PacketReader {
  u32(): number;
  u64(): number;
  bytes(): Buffer;
  text(): string;
  attributes(): Attributes;
}

/** Attributes that a client sets; absent ones stay unchanged. Times are in seconds. */
export interface Attributes {
  readonly size?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
  readonly times?: { readonly accessed: number; readonly modified: number };
}

/** Bits of draft-ietf-secsh-filexfer-02, section 5. */
const attributeFlags = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x80000000 } as const;

export function packetReader(packet: Buffer): PacketReader {
  let at = 0;
  const u32 = () => {
    at += 4;
    return packet.readUInt32BE(at - 4);
  };
  const u64 = () => {
    at += 8;
    return Number(packet.readBigUInt64BE(at - 8));
  };
  const bytes = () => {
    const length = u32();
    if (length > packet.length - at) throw new RangeError("The packet ends too early");
    at += length;
    return packet.subarray(at - length, at);
  };
  const attributes = (): Attributes => {
    const flags = u32();
    const has = (name: keyof typeof attributeFlags) => (flags & attributeFlags[name]) !== 0;
    return {
      ...(has("size") && { size: u64() }),
      ...(has("owner") && { owner: { uid: u32(), gid: u32() } }),
      ...(has("mode") && { mode: u32() & 0o7777 }),
      ...(has("times") && { times: { accessed: u32(), modified: u32() } }),
    };
  };
  return { u32, u64, bytes, text: () => bytes().toString("utf8"), attributes };
}

export function packet(type: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 1);
  return Buffer.concat([u32(length), Buffer.from([type]), ...parts]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
}

export function text(value: string | Buffer): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function formatAttributes({ size, uid, gid, mode, atimeMs, mtimeMs }: Stats): Buffer {
  const flags = attributeFlags.size | attributeFlags.owner | attributeFlags.mode | attributeFlags.times;
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(size));
  const rest = [uid, gid, mode, Math.floor(atimeMs / 1000), Math.floor(mtimeMs / 1000)];
  return Buffer.concat([u32(flags), length, ...rest.map(u32)]);
}
