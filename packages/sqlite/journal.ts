import { existsSync, readFileSync } from "node:fs";

// https://www.sqlite.org/walformat.html
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;

/**
 * How many commits of a write-ahead log SQLite would pass over without a word, because bytes before them have changed.
 * A power cut leaves at most one: each commit is on the disk before the next one begins. More are lost records.
 */
export function lostCommits(path: string): number {
  if (!existsSync(path)) return 0;
  const log = readFileSync(path);
  if (log.length < HEADER_BYTES || (log.readUInt32BE(0) & ~1) !== MAGIC) return 0;
  const isBigEndian = (log.readUInt32BE(0) & 1) === 1;
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(8);
  const salts = log.subarray(16, 24);
  let sum = sumOf(log.subarray(0, 24), { a: 0, b: 0 }, isBigEndian);
  let isWhole = isSum(log, 24, sum);
  let lost = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    // What follows the first frame with other salts is left from before the log was begun anew.
    if (!log.subarray(at + 8, at + 16).equals(salts)) continue;
    if (isWhole) {
      sum = sumOf(log.subarray(at, at + 8), sum, isBigEndian);
      sum = sumOf(log.subarray(at + FRAME_HEADER_BYTES, at + frameBytes), sum, isBigEndian);
      isWhole = isSum(log, at + 16, sum);
    }
    const isCommit = log.readUInt32BE(at + 4) !== 0;
    if (!isWhole && isCommit) lost += 1;
  }
  return lost;
}

interface Sum {
  readonly a: number;
  readonly b: number;
}

/** The running checksum of the format, over pairs of 32-bit words. */
function sumOf(bytes: Buffer, { a, b }: Sum, isBigEndian: boolean): Sum {
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
