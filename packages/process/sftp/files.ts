import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  truncateSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";
import type { Attributes } from "./packets.ts";

export type Opened =
  | { readonly kind: "file"; readonly descriptor: number; readonly isAppending: boolean }
  | { readonly kind: "directory"; readonly path: string; readonly names: string[] };

/** Bits of draft-ietf-secsh-filexfer-02, section 6.3. */
const openFlags = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;
const newFileMode = 0o666;

export function openFile(path: string, wanted: number, { mode }: Attributes): Opened {
  const wants = (name: keyof typeof openFlags) => (wanted & openFlags[name]) !== 0;
  const access = wants("write") ? (wants("read") ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  const flags =
    access |
    (wants("append") ? constants.O_APPEND : 0) |
    (wants("create") ? constants.O_CREAT : 0) |
    (wants("truncate") ? constants.O_TRUNC : 0) |
    (wants("exclusive") ? constants.O_EXCL : 0);
  return { kind: "file", descriptor: openSync(path, flags, mode ?? newFileMode), isAppending: wants("append") };
}

export function openDirectory(path: string): Opened {
  return { kind: "directory", path, names: [".", "..", ...readdirSync(path)] };
}

export function closeOpened(opened: Opened): void {
  if (opened.kind === "file") closeSync(opened.descriptor);
}

/** The size comes first, because it changes the times. */
export function setAttributes(target: string | number, { size, owner, mode, times }: Attributes): void {
  const isPath = typeof target === "string";
  if (size !== undefined) isPath ? truncateSync(target, size) : ftruncateSync(target, size);
  if (owner) isPath ? chownSync(target, owner.uid, owner.gid) : fchownSync(target, owner.uid, owner.gid);
  if (mode !== undefined) isPath ? chmodSync(target, mode) : fchmodSync(target, mode);
  if (!times) return;
  if (isPath) utimesSync(target, times.accessed, times.modified);
  else futimesSync(target, times.accessed, times.modified);
}

/** Sets attributes of a path without following a link. A link has no size and, on Linux, no mode. */
export function setLinkAttributes(path: string, { size, owner, mode, times }: Attributes): void {
  if (size !== undefined || (mode !== undefined && lstatSync(path).isSymbolicLink())) {
    throw Object.assign(new Error("Not supported for a symbolic link"), { code: "EOPNOTSUPP" });
  }
  if (owner) lchownSync(path, owner.uid, owner.gid);
  if (mode !== undefined) chmodSync(path, mode);
  if (times) lutimesSync(path, times.accessed, times.modified);
}

interface FilePlace {
  readonly descriptor: number;
  /** null means the end of the file. */
  readonly at: number | null;
}

export function copyBytes(from: FilePlace & { readonly at: number }, to: FilePlace, length: number): void {
  const part = Buffer.allocUnsafe(256 * 1024);
  for (let copied = 0; copied < length; ) {
    const wanted = Math.min(part.length, length - copied);
    const count = readSync(from.descriptor, part, 0, wanted, from.at + copied);
    if (count === 0) return;
    writeAll(part.subarray(0, count), { ...to, at: to.at === null ? null : to.at + copied });
    copied += count;
  }
}

export function writeAll(bytes: Buffer, { descriptor, at }: FilePlace): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, at === null ? null : at + written);
  }
}

export function fileStats(opened: Opened) {
  return opened.kind === "file" ? fstatSync(opened.descriptor) : lstatSync(opened.path);
}

/** Returns the absolute path. A path that does not exist is only normalized. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Formats an entry like `ls -l`. Clients only display it. */
export function longName(directory: string, name: string): string {
  const { mode, nlink, uid, gid, size, mtime } = lstatSync(join(directory, name));
  const kind = kinds[(mode & constants.S_IFMT) as keyof typeof kinds] ?? "?";
  const bits = [...(mode & 0o777).toString(2).padStart(9, "0")];
  const rights = bits.map((bit, at) => (bit === "1" ? "rwx"[at % 3] : "-")).join("");
  const [, month, day, year, time = ""] = mtime
    .toUTCString()
    .replace(/(\w+), (\d+) (\w+)/, "$1 $3 $2")
    .split(" ");
  const isRecent = Date.now() - mtime.getTime() < 180 * 24 * 3_600_000;
  const date = `${month} ${String(day).padStart(2)} ${isRecent ? time.slice(0, 5) : ` ${year}`}`;
  const columns = [String(nlink).padStart(3), String(uid).padEnd(8), String(gid).padEnd(8), String(size).padStart(8)];
  return `${kind}${rights} ${columns.join(" ")} ${date} ${name}`;
}

const kinds = {
  [constants.S_IFREG]: "-",
  [constants.S_IFDIR]: "d",
  [constants.S_IFLNK]: "l",
  [constants.S_IFIFO]: "p",
  [constants.S_IFSOCK]: "s",
  [constants.S_IFCHR]: "c",
  [constants.S_IFBLK]: "b",
};
