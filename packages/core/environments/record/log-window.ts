/** A part of an output: its bytes, and where in the whole output the first one stands. */
export interface LogWindow {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * Returns where newer bytes of the same output start, given what was kept before. The newer bytes overlap the older ones
 * unless more was printed in between than is kept. Then their start is one more than the old end, so that a reader at the
 * old end is told that something is missing.
 */
export function startOfNewer({ start, bytes }: LogWindow, newer: Uint8Array): number {
  const shared = overlap(bytes, newer);
  return start + bytes.length + (shared === 0 ? 1 : -shared);
}

/**
 * Returns the length of the longest end of `older` with which `newer` begins. It takes linear time (Knuth, Morris and
 * Pratt), because a command chooses both texts.
 */
function overlap(older: Uint8Array, newer: Uint8Array): number {
  const borders = new Int32Array(newer.length);
  let matched = 0;
  const match = (byte: number | undefined) => {
    while (matched > 0 && (matched === newer.length || newer[matched] !== byte)) matched = borders[matched - 1] ?? 0;
    if (newer[matched] === byte) matched++;
  };
  for (let at = 1; at < newer.length; at++) {
    match(newer[at]);
    borders[at] = matched;
  }
  matched = 0;
  for (const byte of older) match(byte);
  return matched;
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
