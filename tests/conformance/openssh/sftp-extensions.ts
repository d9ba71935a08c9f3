import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { packet, text, u32, u64 } from "#process/sftp/packets.ts";

const [INIT, OPEN, STATUS, HANDLE, NAME, EXTENDED, EXTENDED_REPLY] = [1, 3, 101, 102, 104, 200, 201];
const UNKNOWN = "no-such-extension@example.com";
const READ_WRITE_CREATE = 1 | 2 | 8;
const page = readFileSync(new URL("../../../docs/ssh.md", import.meta.url), "utf8");

/** Replies of an SFTP server, one per request (draft-ietf-secsh-filexfer-02). */
export interface Sftp {
  /** Extensions that the server announces, with their versions. */
  readonly announced: readonly string[];
  ask(type: number, ...parts: readonly Buffer[]): Promise<Buffer>;
  close(): void;
}

/** Begins a session with a server. */
export async function talk(server: ChildProcessWithoutNullStreams): Promise<Sftp> {
  const packets = splitPackets(server.stdout);
  const next = async () => {
    const { value, done } = await packets.next();
    if (done) throw new Error("The server has ended");
    return value;
  };
  server.stdin.write(packet(INIT, u32(3)));
  const version = await next();
  const words: string[] = [];
  for (let at = 5; at < version.length; at += 4 + version.readUInt32BE(at)) {
    words.push(version.toString("utf8", at + 4, at + 4 + version.readUInt32BE(at)));
  }
  return {
    announced: words.flatMap((word, index) => (index % 2 === 0 ? `${word} ${words[index + 1]}` : [])),
    ask: (type, ...parts) => {
      server.stdin.write(packet(type, u32(1), ...parts));
      return next();
    },
    close: () => server.kill(),
  };
}

async function* splitPackets(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
  let bytes = Buffer.alloc(0);
  for await (const part of stream) {
    bytes = Buffer.concat([bytes, part]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
      const end = 4 + bytes.readUInt32BE(0);
      yield bytes.subarray(4, end);
      bytes = bytes.subarray(end);
    }
  }
}

/** Returns the type of a reply, and the code of a status. */
function describeReply(reply: Buffer): number[] {
  const [type = 0] = reply;
  return type === STATUS ? [type, reply.readUInt32BE(5)] : [type];
}

const done = [STATUS, 0];
const handleOf = (reply: Buffer) => {
  expect(reply[0]).toBe(HANDLE);
  return reply.subarray(5);
};

/** Arguments for each extension, given the open files `a` and `b`, and its reply. */
const requests: Record<string, { parts(a: Buffer, b: Buffer): readonly Buffer[]; reply: number[] }> = {
  "posix-rename@openssh.com": { parts: () => [text("c"), text("b")], reply: done },
  "statvfs@openssh.com": { parts: () => [text(".")], reply: [EXTENDED_REPLY] },
  "fstatvfs@openssh.com": { parts: (a) => [a], reply: [EXTENDED_REPLY] },
  "hardlink@openssh.com": { parts: () => [text("a"), text("linked")], reply: done },
  "fsync@openssh.com": { parts: (a) => [a], reply: done },
  "lsetstat@openssh.com": { parts: () => [text("a"), u32(8), u32(1_000), u32(2_000)], reply: done },
  "limits@openssh.com": { parts: () => [], reply: [EXTENDED_REPLY] },
  "expand-path@openssh.com": { parts: () => [text("~/a")], reply: [NAME] },
  "copy-data": { parts: (a, b) => [a, u64(0n), u64(0n), b, u64(0n)], reply: done },
  "home-directory": { parts: () => [text("root")], reply: [NAME] },
  "users-groups-by-id@openssh.com": { parts: () => [text(u32(0)), text(u32(0))], reply: [EXTENDED_REPLY] },
};

/** Asks for each extension, with the files `a`, `b` and `c` in the directory of the server. */
export async function askAll(server: Sftp): Promise<Record<string, number[]>> {
  const open = async (name: string) => handleOf(await server.ask(OPEN, text(name), u32(READ_WRITE_CREATE), u32(0)));
  const [a, b] = [await open("a"), await open("b")];
  await open("c");
  const replies: Record<string, number[]> = {};
  for (const [name, { parts }] of Object.entries(requests)) {
    replies[name] = describeReply(await server.ask(EXTENDED, text(name), ...parts(a, b)));
  }
  replies[UNKNOWN] = describeReply(await server.ask(EXTENDED, text(UNKNOWN)));
  return replies;
}

const NOT_SUPPORTED = 8;

/** Expected replies of `askAll`. */
export const expected: Readonly<Record<string, number[]>> = {
  ...Object.fromEntries(Object.entries(requests).map(([name, { reply }]) => [name, reply])),
  [UNKNOWN]: [STATUS, NOT_SUPPORTED],
};
const [, table = ""] = page.split("## Extensions of SFTP 3");

/** Names and versions of docs/ssh.md. */
export const listed = [...table.matchAll(/^\| `(\S+)` \| (\d+) \|/gm)].map(([, name, version]) => `${name} ${version}`);
