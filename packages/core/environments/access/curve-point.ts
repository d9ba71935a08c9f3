interface Curve {
  /** Prime of the field, and `b` of y² = x³ - 3x + b (FIPS 186-4, D.1.2). */
  readonly prime: bigint;
  readonly b: bigint;
  /** Length of a coordinate, including leading zeros (SEC 1, 2.3.5). */
  readonly bytes: number;
}

const curves: Readonly<Record<string, Curve>> = {
  nistp256: {
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    bytes: 32,
  },
  nistp384: {
    prime: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    bytes: 48,
  },
  nistp521: {
    prime: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    bytes: 66,
  },
};

/** Reports whether these bytes are an uncompressed point of the curve (SEC 1, 2.3.4). */
export function isPoint(curveName: string, bytes: Uint8Array): boolean {
  const curve = curves[curveName];
  if (!curve || bytes[0] !== 4 || bytes.length !== 1 + 2 * curve.bytes) return false;
  const { prime, b, bytes: length } = curve;
  const [x, y] = [toNumber(bytes.subarray(1, 1 + length)), toNumber(bytes.subarray(1 + length))];
  return x < prime && y < prime && (y * y - (x * x * x - 3n * x + b)) % prime === 0n;
}

const ED25519_PRIME = 2n ** 255n - 19n;
const ED25519_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/**
 * Reports whether these bytes are a point of edwards25519 (RFC 8032, 5.1.3): x² = (y² - 1) / (d·y² + 1) must be a
 * square, by Euler's criterion.
 */
export function isEd25519Point(bytes: Uint8Array): boolean {
  const y = toNumber(bytes.toReversed()) & (2n ** 255n - 1n);
  if (bytes.length !== 32 || y >= ED25519_PRIME) return false;
  const square = (y * y - 1n) * (ED25519_D * y * y + 1n);
  return power(square % ED25519_PRIME, (ED25519_PRIME - 1n) / 2n, ED25519_PRIME) <= 1n;
}

/** Reads big-endian bytes as a number. */
export function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`);
}

function power(base: bigint, exponent: bigint, prime: bigint): bigint {
  let result = 1n;
  for (let [square, rest] = [base, exponent]; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % prime;
    square = (square * square) % prime;
  }
  return result;
}
