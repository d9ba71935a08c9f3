import type { Opened } from "./files.ts";
import { type PacketReader, text, u32 } from "./packets.ts";

/** Packet types and status codes: draft-ietf-secsh-filexfer-02, sections 3 and 7. */
export const answers = { status: 101, handle: 102, data: 103, name: 104, attributes: 105, extended: 201 } as const;
export const codes = {
  ok: 0,
  end: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

export type Reply = readonly [type: number, ...parts: Buffer[]];

export interface Handles {
  keep(opened: Opened): Reply;
  find(reader: PacketReader): Opened;
  drop(reader: PacketReader): void;
  room(): void;
}

export class Failure extends Error {
  readonly code: number;

  constructor(code: number, words: string) {
    super(words);
    this.code = code;
  }
}

export function done(_result?: unknown): Reply {
  return statusReply(codes.ok, "");
}

export function statusReply(code: number, words: string): Reply {
  return [answers.status, u32(code), text(words), text("en")];
}

/** Returns a reply with one name (draft-ietf-secsh-filexfer-02, section 7). */
export function nameReply(path: string): Reply {
  return [answers.name, u32(1), text(path), text(path), u32(0)];
}
