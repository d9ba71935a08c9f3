import {
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { extensions, MOST_OPENED } from "./extensions.ts";
import {
  closeOpened,
  fileStats,
  longName,
  type Opened,
  openDirectory,
  openFile,
  realPath,
  setAttributes,
  writeAll,
} from "./files.ts";
import { formatAttributes, type PacketReader, packet, packetReader, text, u32 } from "./packets.ts";
import { answers, codes, done, Failure, type Handles, nameReply, type Reply, statusReply } from "./replies.ts";

const mostRead = 256 * 1024;
const namesAtOnce = 100;

export function sftpSession(): (request: Buffer) => Buffer {
  const opened = new Map<string, Opened>();
  let lastHandle = 0;
  const keep = (openFile: Opened): Reply => {
    lastHandle += 1;
    opened.set(String(lastHandle), openFile);
    return [answers.handle, text(String(lastHandle))];
  };
  const handles: Handles = {
    keep,
    find: (reader) => {
      const openFile = opened.get(reader.text());
      if (!openFile) throw new Failure(codes.failure, "No such handle");
      return openFile;
    },
    drop: (reader) => {
      const handle = reader.text();
      const openFile = opened.get(handle);
      opened.delete(handle);
      if (openFile) closeOpened(openFile);
    },
    room: () => {
      if (opened.size >= MOST_OPENED) throw new Failure(codes.failure, "Too many open files");
    },
  };
  return (request) => answer(request, handles);
}

const announced = Object.entries(extensions).flatMap(([name, { version }]) => [text(name), text(version)]);
const init = 1;
const version = 2;

function answer(request: Buffer, handles: Handles): Buffer {
  const [type = 0] = request;
  if (type === init) return packet(version, u32(3), ...announced);
  const reader = packetReader(request.subarray(1));
  const id = u32(reader.u32());
  try {
    const [kind, ...parts] = handlers[type]?.(reader, handles) ?? statusReply(codes.unsupported, "Not supported");
    return packet(kind, id, ...parts);
  } catch (error) {
    const [kind, ...parts] = refusal(error);
    return packet(kind, id, ...parts);
  }
}

const handlers: Readonly<Record<number, (reader: PacketReader, handles: Handles) => Reply>> = {
  3: (reader, { keep, room }) => {
    room();
    return keep(openFile(reader.text(), reader.u32(), reader.attributes()));
  },
  4: (reader, { drop }) => done(drop(reader)),
  5: (reader, { find }) => read(find(reader), reader.u64(), reader.u32()),
  6: (reader, { find }) => write(find(reader), reader.u64(), reader.bytes()),
  7: (reader) => [answers.attributes, formatAttributes(lstatSync(reader.text()))],
  8: (reader, { find }) => [answers.attributes, formatAttributes(fileStats(find(reader)))],
  9: (reader) => done(setAttributes(reader.text(), reader.attributes())),
  10: (reader, { find }) => {
    const openFile = find(reader);
    setAttributes(openFile.kind === "file" ? openFile.descriptor : openFile.path, reader.attributes());
    return done();
  },
  11: (reader, { keep, room }) => {
    room();
    return keep(openDirectory(reader.text()));
  },
  12: (reader, { find }) => list(find(reader)),
  13: (reader) => done(unlinkSync(reader.text())),
  14: (reader) => done(mkdirSync(reader.text(), reader.attributes().mode ?? 0o777)),
  15: (reader) => done(rmdirSync(reader.text())),
  16: (reader) => nameReply(realPath(reader.text() || ".")),
  17: (reader) => [answers.attributes, formatAttributes(statSync(reader.text()))],
  18: (reader) => rename(reader.text(), reader.text()),
  19: (reader) => nameReply(readlinkSync(reader.text())),
  // OpenSSH sends the target first, against the draft, and other implementations follow it (its PROTOCOL file, 4.1).
  20: (reader) => done(symlinkSync(reader.text(), reader.text())),
  200: (reader, handles) => {
    const name = reader.text();
    if (!Object.hasOwn(extensions, name)) throw new Failure(codes.unsupported, "Not supported");
    return extensions[name]?.answer(reader, handles) ?? statusReply(codes.unsupported, "Not supported");
  },
};

function read(openFile: Opened, position: number, length: number): Reply {
  if (openFile.kind !== "file") throw new Failure(codes.failure, "Not a file");
  const bytes = Buffer.allocUnsafe(Math.min(length, mostRead));
  const count = readSync(openFile.descriptor, bytes, 0, bytes.length, position);
  if (count === 0) return statusReply(codes.end, "End of file");
  return [answers.data, u32(count), bytes.subarray(0, count)];
}

function write(openFile: Opened, position: number, bytes: Buffer): Reply {
  if (openFile.kind !== "file") throw new Failure(codes.failure, "Not a file");
  writeAll(bytes, { descriptor: openFile.descriptor, at: openFile.isAppending ? null : position });
  return done();
}

function list(openFile: Opened): Reply {
  if (openFile.kind !== "directory") throw new Failure(codes.failure, "Not a directory");
  const entries = openFile.names.splice(0, namesAtOnce).flatMap((name) => {
    try {
      const attributes = formatAttributes(lstatSync(join(openFile.path, name)));
      return [Buffer.concat([text(name), text(longName(openFile.path, name)), attributes])];
    } catch {
      // Removed since the directory was read.
      return [];
    }
  });
  if (entries.length > 0) return [answers.name, u32(entries.length), ...entries];
  return openFile.names.length > 0 ? list(openFile) : statusReply(codes.end, "End of directory");
}

/** The draft forbids replacing. */
function rename(from: string, to: string): Reply {
  if (existsSync(to)) throw new Failure(codes.failure, "The new name already exists");
  renameSync(from, to);
  return done();
}

const codesOfErrors: Readonly<Record<string, readonly [code: number, words: string]>> = {
  ENOENT: [codes.noSuchFile, "No such file"],
  ENOTDIR: [codes.noSuchFile, "No such file"],
  EACCES: [codes.permissionDenied, "Permission denied"],
  EPERM: [codes.permissionDenied, "Permission denied"],
  EROFS: [codes.permissionDenied, "Read-only file system"],
  ENOSPC: [codes.failure, "No space left on device"],
  EEXIST: [codes.failure, "The file already exists"],
  EISDIR: [codes.failure, "The path is a directory"],
  ENOTEMPTY: [codes.failure, "The directory is not empty"],
};

function refusal(error: unknown): Reply {
  if (error instanceof Failure) return statusReply(error.code, error.message);
  if (error instanceof RangeError) return statusReply(codes.badMessage, "Bad message");
  const { code = "" } = error as { readonly code?: string };
  const [number, words] = codesOfErrors[code] ?? [codes.failure, `Failure ${code}`];
  return statusReply(number, words);
}
