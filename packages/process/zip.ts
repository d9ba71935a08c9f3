import { constants, createWriteStream } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";

/**
 * Writes a zip of everything in a directory and answers how much of it could not be read and is left out. Symlinks are
 * stored and not followed; sockets, pipes and devices mean nothing in a zip. A file holds what was read of it, at most
 * as much as it had at first. Throws when the zip cannot be written.
 */
export async function zipDirectory(from: string, to: string): Promise<{ readonly skipped: number }> {
  const zip = new ZipFile();
  const written = pipeline(zip.outputStream, createWriteStream(to, { mode: 0o600 }));
  const draft: Draft = { zip, skipped: 0 };
  // The zip is over only once it is ended: until then, this is how a full disk shows.
  await Promise.race([addFolder(draft, Buffer.from(from), ""), written]);
  const comment = draft.skipped === 0 ? "" : `${draft.skipped} could not be read and are left out`;
  zip.end({ comment, forceZip64Format: false });
  await written;
  return { skipped: draft.skipped };
}

interface Draft {
  readonly zip: ZipFile;
  skipped: number;
}

/** Time is short and what people write compresses well enough at any level. */
const compressionLevel = 1;
const chunkBytes = 256 * 1024;
/** From here on a size needs the fields of ZIP64 (APPNOTE 4.3.9.2). */
const zip64From = 0xffff_fffe;

/** Paths are bytes, since a name need not be UTF-8; a name in a zip is text. */
async function addFolder(draft: Draft, path: Buffer, name: string): Promise<void> {
  for (const entry of await readdir(path, { encoding: "buffer", withFileTypes: true })) {
    const inside = Buffer.concat([path, Buffer.from("/"), entry.name]);
    const insideName = `${name}${entry.name.toString()}`;
    try {
      if (entry.isDirectory()) {
        draft.zip.addEmptyDirectory(insideName, await attributesOf(inside));
        await addFolder(draft, inside, `${insideName}/`);
      }
      if (entry.isSymbolicLink()) {
        const target = await readlink(inside, { encoding: "buffer" });
        draft.zip.addBuffer(target, insideName, { ...(await attributesOf(inside)), compressionLevel: 0 });
      }
      if (entry.isFile()) await addFile(draft, inside, insideName);
    } catch {
      draft.skipped += 1;
    }
  }
}

async function attributesOf(path: Buffer): Promise<{ readonly mtime: Date; readonly mode: number }> {
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
  if (!found.isFile()) return;
  const { mtimeMs, mode, size } = found;
  const source = Readable.from(bytesOf(draft, file, size));
  const options = { mtime: timeInZip(mtimeMs), mode, compressionLevel, forceZip64Format: size >= zip64From };
  draft.zip.addReadStream(source, name, options);
  await finished(source);
}

async function* bytesOf(draft: Draft, file: FileHandle, size: number): AsyncGenerator<Buffer> {
  let rest = size;
  try {
    while (rest > 0) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(rest, chunkBytes)));
      if (bytesRead === 0) return;
      rest -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch {
    draft.skipped += 1;
  }
}
