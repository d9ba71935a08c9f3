import { type BigIntStatsFs, fsyncSync, linkSync, readFileSync, renameSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { copyBytes, type Opened, realPath, setLinkAttributes } from "./files.ts";
import { type PacketReader, text, u64 } from "./packets.ts";
import { answers, codes, done, Failure, type Handles, nameReply, type Reply } from "./replies.ts";

interface Extension {
  readonly version: string;
  answer(reader: PacketReader, handles: Handles): Reply;
}

/** Largest packet, as in OpenSSH's server (sftp-common.h). */
export const LONGEST_PACKET = 256 * 1024;
/** Room for the other fields of a data packet, as in OpenSSH's server. */
const HEAD_BYTES = 1024;
export const MOST_OPENED = 256;

/**
 * Extensions of the sftp-server of OpenSSH 9.2 by name: section 4 of its PROTOCOL file, and
 * draft-ietf-secsh-filexfer-extensions-00 for `copy-data` and `home-directory`.
 */
export const extensions: Readonly<Record<string, Extension>> = {
  "posix-rename@openssh.com": {
    version: "1",
    answer: (reader) => done(renameSync(reader.text(), reader.text())),
  },
  "statvfs@openssh.com": {
    version: "2",
    answer: (reader) => [answers.extended, getRoom(statfsSync(reader.text(), { bigint: true }))],
  },
  "fstatvfs@openssh.com": {
    version: "2",
    answer: (reader, { find }) => [answers.extended, getRoom(statfsSync(getPlace(find(reader)), { bigint: true }))],
  },
  "hardlink@openssh.com": {
    version: "1",
    answer: (reader) => done(linkSync(reader.text(), reader.text())),
  },
  "fsync@openssh.com": {
    version: "1",
    answer: (reader, { find }) => done(fsyncSync(getDescriptor(find(reader)))),
  },
  "lsetstat@openssh.com": {
    version: "1",
    answer: (reader) => done(setLinkAttributes(reader.text(), reader.attributes())),
  },
  "limits@openssh.com": {
    version: "1",
    answer: () => {
      const most = LONGEST_PACKET - HEAD_BYTES;
      return [answers.extended, ...[LONGEST_PACKET, most, most, MOST_OPENED].map((limit) => u64(BigInt(limit)))];
    },
  },
  "expand-path@openssh.com": {
    version: "1",
    answer: (reader) => {
      const path = expandHome(reader.text());
      if (path === undefined) throw new Failure(codes.noSuchFile, "No such user");
      return nameReply(realPath(path || "."));
    },
  },
  "copy-data": { version: "1", answer: copy },
  "home-directory": {
    version: "1",
    answer: (reader) => {
      const home = findHome(reader.text());
      if (home === undefined) throw new Failure(codes.noSuchFile, "No such user");
      return nameReply(realPath(home));
    },
  },
  "users-groups-by-id@openssh.com": {
    version: "1",
    answer: (reader) => {
      const [users, groups] = [reader.bytes(), reader.bytes()].map(numbersIn);
      const lists = [readNames("/etc/passwd", users ?? []), readNames("/etc/group", groups ?? [])];
      return [answers.extended, ...lists.map((names) => text(Buffer.concat(names.map(text))))];
    },
  },
};

/** Copies to the end of the file if the length is 0. Refuses to copy a file onto itself, as OpenSSH's server does. */
function copy(reader: PacketReader, { find }: Handles): Reply {
  const [from, at, length] = [find(reader), reader.u64(), reader.u64()];
  const [to, position] = [find(reader), reader.u64()];
  if (from === to) throw new Failure(codes.failure, "A file cannot be copied onto itself");
  const isAppending = to.kind === "file" && to.isAppending;
  copyBytes(
    { descriptor: getDescriptor(from), at },
    { descriptor: getDescriptor(to), at: isAppending ? null : position },
    length === 0 ? Number.POSITIVE_INFINITY : length,
  );
  return done();
}

function getDescriptor(opened: Opened): number {
  if (opened.kind !== "file") throw new Failure(codes.failure, "Not a file");
  return opened.descriptor;
}

function getPlace(opened: Opened): string {
  return opened.kind === "file" ? `/proc/self/fd/${opened.descriptor}` : opened.path;
}

function numbersIn(bytes: Buffer): number[] {
  if (bytes.length % 4 !== 0) throw new RangeError("The list ends within a number");
  return Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readUInt32BE(4 * n));
}

/** Limit of Linux, which Node does not report. */
const LONGEST_NAME = 255n;

/** Encodes a result of statvfs(3). Node reports neither the flags nor the id of a file system, so these are 0. */
function getRoom({ bsize, blocks, bfree, bavail, files, ffree }: BigIntStatsFs): Buffer {
  const fields = [bsize, bsize, blocks, bfree, bavail, files, ffree, ffree, 0n, 0n, LONGEST_NAME];
  return Buffer.concat(fields.map(u64));
}

/** Undefined if there is no such user. An empty name means our own. */
function findHome(name: string): string | undefined {
  const ownHOME = process.env.HOME || homedir();
  if (name === "") return ownHOME;
  const entry = listLines("/etc/passwd").find(([user]) => user === name);
  return entry?.[2] === String(process.getuid?.()) ? ownHOME : entry?.[5];
}

/** Undefined if there is no such user. */
function expandHome(path: string): string | undefined {
  const [, name, rest = ""] = /^~([^/]*)(.*)$/s.exec(path) ?? [];
  if (name === undefined) return path;
  const home = findHome(name);
  return home && `${home}${rest}`;
}

function readNames(file: "/etc/passwd" | "/etc/group", ids: readonly number[]): string[] {
  const names = new Map(listLines(file).map(([name = "", , id = ""]) => [id, name]));
  return ids.map((id) => names.get(String(id)) ?? "");
}

function listLines(file: string): string[][] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}
