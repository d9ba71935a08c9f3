/** A part of an output: its bytes, and where in the whole output the first one stands. */
export interface LogWindow {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** So many places are compared. Output that repeats itself for so long counts as lost, which readers are told. */
const MOST_TRIES = 1_000;
const PROBE_BYTES = 4_096;

/**
 * Returns where newer bytes of the same output start, given what was kept before. The newer bytes overlap the older ones
 * unless more was printed in between than is kept. Then their start is one more than the old end, so that a reader at the
 * old end is told that something is missing.
 */
export function startOfNewer(older: LogWindow, newer: Uint8Array): number {
  const [old, next] = [charactersOf(older.bytes), charactersOf(newer)];
  const probe = next.slice(0, PROBE_BYTES);
  let at = old.indexOf(probe);
  for (let tries = 0; at !== -1 && tries < MOST_TRIES; tries++) {
    if (next.startsWith(old.slice(at))) return older.start + at;
    at = old.indexOf(probe, at + 1);
  }
  for (let from = Math.max(0, old.length - probe.length + 1); from < old.length; from++) {
    if (next.startsWith(old.slice(from))) return older.start + from;
  }
  return older.start + old.length + 1;
}

/** One character for each byte: Windows-1252 as the Encoding standard has it gives each byte another one. */
function charactersOf(bytes: Uint8Array): string {
  return new TextDecoder("windows-1252").decode(bytes);
}

/** Returns the bytes from a position on, at most so many, in whole characters. */
export function partOfWindow({ start, bytes }: LogWindow, after: number, most: number): LogWindow {
  let from = Math.min(Math.max(0, after - start), bytes.length);
  while (isInsideCharacter(bytes, from)) from++;
  let to = Math.min(from + most, bytes.length);
  while (to > from && isInsideCharacter(bytes, to)) to--;
  return { start: start + from, bytes: bytes.subarray(from, to) };
}

function isInsideCharacter(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at] ?? 0) & 0xc0) === 0x80;
}
