import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";

// https://www.sqlite.org/walformat.html
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;
const SALTS = { at: 16, bytes: 8 };
const INDEX = { bytes: 48, frames: 16, salts: 32 };
const MARK = { frames: 8, commit: 12, sum: 20, bytes: 24 };

/** Progress of the write-ahead log on the disk. */
export interface SyncedMark {
  /** Returns how far SQLite has written the log, for `note` after a sync; undefined if unreadable. */
  written(): Buffer | undefined;
  /** Records that the log is on the disk up to that point. On an error the mark lags behind. */
  note(written: Buffer): void;
  /** Removes the mark. Call it before SQLite checkpoints and deletes the log. */
  remove(): void;
}

/** Returns the mark of a database, since SQLite silently cuts its log at the first invalid bytes. */
export function syncedMark(path: string, newestCommit: () => number): SyncedMark {
  let index: number | undefined;
  let file: number | undefined;
  return {
    written() {
      const header = Buffer.alloc(INDEX.bytes);
      try {
        index ??= openSync(`${path}-shm`, "r");
        readSync(index, header, 0, INDEX.bytes, 0);
      } catch {
        return undefined;
      }
      // The index has this machine's byte order; its salts are as in the log.
      const frames = new DataView(header.buffer, header.byteOffset).getUint32(INDEX.frames, isLittleEndian);
      return getMark(header.subarray(INDEX.salts, INDEX.salts + SALTS.bytes), frames, newestCommit());
    },
    note(written) {
      try {
        file ??= openSync(markPath(path), "w", 0o600);
        writeSync(file, written, 0, written.length, 0);
      } catch {
        return;
      }
    },
    remove() {
      for (const open of [index, file]) if (open !== undefined) closeSync(open);
      index = undefined;
      file = undefined;
      rmSync(markPath(path), { force: true });
    },
  };
}

/** Returns what an earlier process's log has lost. Call it before SQLite opens the database and cuts the log. */
export function lossOfLog(path: string): string | undefined {
  const [log, mark] = [`${path}-wal`, readMark(markPath(path))];
  if (!mark || !existsSync(path) || !existsSync(log)) return undefined;
  const bytes = readFileSync(log);
  // An empty log was checkpointed, for example when another program closed the database. `lastSynced` checks that.
  return bytes.length === 0 || isWhole(bytes, mark) ? undefined : `commits in ${log} cannot be read`;
}

/** Returns the newest commit that an earlier process had synced. Returns undefined after a clean stop. */
export function lastSynced(path: string): number | undefined {
  return readMark(markPath(path))?.commit;
}

interface Mark {
  readonly salts: Buffer;
  readonly frames: number;
  readonly commit: number;
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function markPath(path: string): string {
  return `${path}-synced`;
}

/** Small enough for an atomic write. The checksum detects a torn one. */
function getMark(salts: Buffer, frames: number, commit: number): Buffer {
  const mark = Buffer.alloc(MARK.bytes);
  salts.copy(mark);
  mark.writeUInt32BE(frames, MARK.frames);
  mark.writeDoubleBE(commit, MARK.commit);
  mark.writeUInt32BE(crc32(mark.subarray(0, MARK.sum)), MARK.sum);
  return mark;
}

function readMark(path: string): Mark | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  if (bytes.length !== MARK.bytes) return undefined;
  const [salts, frames] = [bytes.subarray(0, SALTS.bytes), bytes.readUInt32BE(MARK.frames)];
  const commit = bytes.readDoubleBE(MARK.commit);
  return getMark(salts, frames, commit).equals(bytes) ? { salts, frames, commit } : undefined;
}

/** Reports whether the log has all that was synced. New salts mean that it was checkpointed and restarted. */
function isWhole(log: Buffer, { salts, frames }: Mark): boolean {
  if (log.length < HEADER_BYTES || (log.readUInt32BE(0) & ~1) !== MAGIC) return false;
  const isBigEndian = (log.readUInt32BE(0) & 1) === 1;
  let sum = getSum(log.subarray(0, 24), { a: 0, b: 0 }, isBigEndian);
  if (!isSum(log, 24, sum)) return false;
  if (!log.subarray(SALTS.at, SALTS.at + SALTS.bytes).equals(salts)) return true;
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(8);
  if (HEADER_BYTES + frames * frameBytes > log.length) return false;
  for (let at = HEADER_BYTES; at < HEADER_BYTES + frames * frameBytes; at += frameBytes) {
    sum = getSum(log.subarray(at, at + 8), sum, isBigEndian);
    sum = getSum(log.subarray(at + FRAME_HEADER_BYTES, at + frameBytes), sum, isBigEndian);
    if (!isSum(log, at + 16, sum) || !log.subarray(at + 8, at + 16).equals(salts)) return false;
  }
  return true;
}

interface Sum {
  readonly a: number;
  readonly b: number;
}

/** Returns the running checksum of the format, over pairs of 32-bit words. */
function getSum(bytes: Buffer, { a, b }: Sum, isBigEndian: boolean): Sum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += 8) {
    a = (a + view.getUint32(at, !isBigEndian) + b) >>> 0;
    b = (b + view.getUint32(at + 4, !isBigEndian) + a) >>> 0;
  }
  return { a, b };
}

function isSum(log: Buffer, at: number, { a, b }: Sum): boolean {
  return log.readUInt32BE(at) === a && log.readUInt32BE(at + 4) === b;
}
