/** Returns a generator of numbers in [0, 1) that depend only on the two seeds (xorshift32, G. Marsaglia 2003). */
export function drawnFrom(seed: number, run: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(run + 1, 0x85ebca6b) || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // Similar seeds begin with similar numbers.
  for (let n = 0; n < 8; n++) next();
  return next;
}
