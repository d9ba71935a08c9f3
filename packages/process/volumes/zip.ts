import { isUtf8 } from "node:buffer";
import { constants, createWriteStream, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";
import { printedName } from "../runs/printed-name.ts";

/**
 * In files with holes, and under further names of a file: an archive of terabytes that nobody wrote would never end.
 * What reading so much of it costs is minutes.
 */
const mostUnwritten = 64 * 1024 ** 3;

/**
 * Writes a zip of everything in a directory and answers how much of it is left out, which the zip's comment names: what
 * could not be read, and sockets, pipes and devices, which mean nothing in a zip. Symlinks are stored and not followed.
 * A file holds what was read of it, at most as much as it had at first. Throws when the zip cannot be written.
 * yazl writes the format; what is read, and how much of it, is by hand, since no library knows files that change, hide
 * or never end.
 */
export async function zipDirectory(
  from: string,
  to: string,
  { mostUnwrittenBytes = mostUnwritten } = {},
): Promise<{ readonly skipped: number }> {
  const zip = new ZipFile();
  const written = pipeline(zip.outputStream, createWriteStream(to, { mode: 0o600 }));
  const draft: Draft = { zip, skipped: [], seen: new Set(), unwrittenLeft: mostUnwrittenBytes };
  // The zip is over only once it is ended: until then, this is how a full disk shows.
  await Promise.race([addFolder(draft, Buffer.from(from), ""), written]);
  // Bytes are taken as they are; the type knows of text alone.
  const comment = getComment(draft.skipped) as unknown as string;
  zip.end({ comment, forceZip64Format: false });
  await written;
  return { skipped: draft.skipped.length };
}

interface Draft {
  readonly zip: ZipFile;
  /** By their names, each with the reason. */
  readonly skipped: string[];
  /** Files that have several names, by their numbers. */
  readonly seen: Set<number>;
  unwrittenLeft: number;
}

/** A comment has at most 65,535 bytes (APPNOTE 4.4.12). */
const mostNamed = 60_000;

function getComment(skipped: readonly string[]): Buffer {
  if (skipped.length === 0) return Buffer.alloc(0);
  const lines = [`${skipped.length} are left out:`];
  let bytes = 0;
  for (const name of skipped) {
    // Control characters would not do here: four of them end a zip.
    const plain = printedName(name);
    bytes += Buffer.byteLength(plain) + 1;
    if (bytes > mostNamed) break;
    lines.push(plain);
  }
  return Buffer.from(lines.join("\n"));
}

/**
 * Names as a zip may hold them: text, so that bytes which are none (UTF-8) are written as in an address (RFC 3986 section
 * 2.1); programs that unpack on Windows take a backslash for a folder and `C:` for a disk, so those are written that way
 * too. Each has another one, and what may stay as it is does.
 */
function namesInZip(names: readonly Buffer[]): string[] {
  const written = names.map((name) => nameInZip(name));
  const taken = new Set(written.filter((text, n) => names[n]?.equals(Buffer.from(text))));
  const counts = new Map<string, number>();
  return written.map((text, n) => {
    if (names[n]?.equals(Buffer.from(text))) return text;
    let [free, count] = [text, counts.get(text) ?? 1];
    while (taken.has(free)) {
      count += 1;
      free = `${text}~${count}`;
    }
    taken.add(free);
    counts.set(text, count);
    return free;
  });
}

function nameInZip(name: Buffer): string {
  const text = isUtf8(name) ? name.toString() : name.toString("latin1").replaceAll(/[^\0-\x7f]/g, asInAddress);
  return text.replaceAll("\\", asInAddress).replace(/^([A-Za-z]):/, "$1%3A");
}

function asInAddress(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** Time is short and what people write compresses well enough at any level. */
const compressionLevel = 1;
const chunkBytes = 256 * 1024;
/** From here on a size needs the fields of ZIP64 (APPNOTE 4.3.9.2). */
const zip64From = 0xffff_fffe;

/** Paths are bytes, since a name need not be UTF-8. */
async function addFolder(draft: Draft, path: Buffer, name: string): Promise<void> {
  const entries = await readdir(path, { encoding: "buffer", withFileTypes: true });
  const names = namesInZip(entries.map((entry) => entry.name));
  for (const [n, entry] of entries.entries()) {
    const inside = Buffer.concat([path, Buffer.from("/"), entry.name]);
    const insideName = `${name}${names[n]}`;
    try {
      if (entry.isDirectory()) {
        draft.zip.addEmptyDirectory(insideName, await getAttributes(inside));
        await addFolder(draft, inside, `${insideName}/`);
      }
      if (entry.isSymbolicLink()) {
        const target = await readlink(inside, { encoding: "buffer" });
        draft.zip.addBuffer(target, insideName, { ...(await getAttributes(inside)), compressionLevel: 0 });
      }
      if (entry.isFile()) await addFile(draft, inside, insideName);
      if (isNothingInZip(entry)) draft.skipped.push(`${insideName} (a ${getKind(entry)})`);
    } catch {
      draft.skipped.push(`${insideName} (could not be read)`);
    }
  }
}

type Kinds = Pick<Stats, "isDirectory" | "isFIFO" | "isFile" | "isSocket" | "isSymbolicLink">;

function isNothingInZip(found: Kinds): boolean {
  return !found.isFile() && !found.isDirectory() && !found.isSymbolicLink();
}

function getKind(found: Kinds): string {
  if (found.isFIFO()) return "pipe";
  return found.isSocket() ? "socket" : "device";
}

async function getAttributes(path: Buffer): Promise<{ readonly mtime: Date; readonly mode: number }> {
  const { mtimeMs, mode } = await lstat(path);
  return { mtime: timeInZip(mtimeMs), mode };
}

const latestMs = 0x7fff_ffff * 1_000;

/** What a zip says of times has room for those from 1970 to 2038, and yazl breaks off at any other. */
function timeInZip(ms: number): Date {
  return new Date(Math.min(Math.max(ms, 0), latestMs));
}

/** What it is may have changed since it was listed: a link is not followed and a pipe not waited for. */
async function addFile(draft: Draft, path: Buffer, name: string): Promise<void> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile()) return void draft.skipped.push(`${name} (changed meanwhile)`);
  if (!mayRead(draft, found)) return void draft.skipped.push(`${name} (takes far less on the disk)`);
  const { mtimeMs, mode, size } = found;
  const source = Readable.from(listBytes(draft, { file, size, name }));
  const options = { mtime: timeInZip(mtimeMs), mode, compressionLevel, forceZip64Format: size >= zip64From };
  draft.zip.addReadStream(source, name, options);
  await finished(source);
}

/** File systems that compress make less of a file as well, but hardly to a part of so many. */
const mostCompressed = 16;
/** Of `blocks` (stat(3type)), whatever the file system's own have. */
const blockBytes = 512;

function mayRead(draft: Draft, { ino, nlink, size, blocks }: Stats): boolean {
  const isKnown = nlink > 1 && draft.seen.has(ino);
  if (nlink > 1) draft.seen.add(ino);
  if (!isKnown && blocks * blockBytes * mostCompressed >= size) return true;
  if (size > draft.unwrittenLeft) return false;
  draft.unwrittenLeft -= size;
  return true;
}

interface Source {
  readonly file: FileHandle;
  readonly size: number;
  readonly name: string;
}

async function* listBytes(draft: Draft, { file, size, name }: Source): AsyncGenerator<Buffer> {
  let rest = size;
  try {
    while (rest > 0) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(rest, chunkBytes)));
      if (bytesRead === 0) return;
      rest -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch {
    draft.skipped.push(`${name} (could not be read to its end)`);
  }
}
