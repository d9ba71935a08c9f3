import { isUtf8 } from "node:buffer";
import { constants, createWriteStream, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";
import { printedName } from "./listing.ts";

/** Bytes of sparse files and repeated hard links: reading this much takes minutes, but terabytes would never end. */
const mostUnwritten = 64 * 1024 ** 3;

/**
 * Zips a directory and returns the number of skipped entries, which the zip's comment names. Links are not followed.
 * Throws if the zip cannot be written. yazl writes; reading is done here, because files may change, block or be sparse.
 */
export async function zipDirectory(
  from: string,
  to: string,
  { mostUnwrittenBytes = mostUnwritten } = {},
): Promise<{ readonly skipped: number }> {
  const zip = new ZipFile();
  const written = pipeline(zip.outputStream, createWriteStream(to, { mode: 0o600 }));
  const draft: Draft = { zip, skipped: [], seen: new Set(), unwrittenLeft: mostUnwrittenBytes };
  // `written` settles early only on an error, such as a full disk.
  await Promise.race([addFolder(draft, Buffer.from(from), ""), written]);
  // yazl accepts bytes, but its type only declares text.
  const comment = getComment(draft.skipped) as unknown as string;
  zip.end({ comment, forceZip64Format: false });
  await written;
  return { skipped: draft.skipped.length };
}

interface Draft {
  readonly zip: ZipFile;
  readonly skipped: string[];
  /** Inode numbers of files with several hard links. */
  readonly seen: Set<number>;
  unwrittenLeft: number;
}

/** A zip comment has at most 65,535 bytes (APPNOTE 4.4.12). */
const mostNamed = 60_000;

function getComment(skipped: readonly string[]): Buffer {
  if (skipped.length === 0) return Buffer.alloc(0);
  const lines = [`${skipped.length} are left out:`];
  let bytes = 0;
  for (const name of skipped) {
    // Remove control characters: four of them form the end-of-archive signature.
    const plain = printedName(name);
    bytes += Buffer.byteLength(plain) + 1;
    if (bytes > mostNamed) break;
    lines.push(plain);
  }
  return Buffer.from(lines.join("\n"));
}

/** Percent-encodes bytes outside UTF-8 (RFC 3986, 2.1), and names that Windows reads as paths. Names stay unique. */
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

const compressionLevel = 1;
const chunkBytes = 256 * 1024;
/** Sizes from here on need the ZIP64 fields (APPNOTE 4.3.9.2). */
const zip64From = 0xffff_fffe;

/** Paths are bytes, because names need not be UTF-8. */
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

/** Zip timestamps cover 1970 to 2038, and yazl throws for others. */
function timeInZip(ms: number): Date {
  return new Date(Math.min(Math.max(ms, 0), latestMs));
}

/** The type may have changed since the listing, so links are not followed and pipes do not block. */
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

/** Compressing file systems also store fewer bytes than the size, but rarely below a sixteenth. */
const mostCompressed = 16;
/** Unit of `blocks` (stat(3type)), independent of the file system's own block size. */
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
