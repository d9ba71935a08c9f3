type KeyCheck = (parts: readonly Uint8Array[]) => boolean;

const isApplication = ({ length }: Uint8Array) => length >= 1 && length <= 256;

const ecdsa = (wanted: string, applications = 0): KeyCheck => {
  return ([curve = none, point = none, ...more]) =>
    formatText(curve) === wanted && isPoint(wanted, point) && more.length === applications && more.every(isApplication);
};

const ed25519 = (applications = 0): KeyCheck => {
  return ([point = none, ...more]) =>
    isEd25519Point(point) && more.length === applications && more.every(isApplication);
};

/** RFC 4253, 6.6; RFC 8709, 4; RFC 5656, 3.1, with uncompressed points; OpenSSH's PROTOCOL.u2f. */
const checks: Readonly<Record<string, KeyCheck>> = {
  "ssh-rsa": isRsa,
  "ssh-ed25519": ed25519(),
  "ecdsa-sha2-nistp256": ecdsa("nistp256"),
  "ecdsa-sha2-nistp384": ecdsa("nistp384"),
  "ecdsa-sha2-nistp521": ecdsa("nistp521"),
  "sk-ssh-ed25519@openssh.com": ed25519(1),
  "sk-ecdsa-sha2-nistp256@openssh.com": ecdsa("nistp256", 1),
};

const none = new Uint8Array();
/** Shorter moduli can be factored (NIST SP 800-131A); a longer key exceeds the line limit. */
const RSA_BITS = { least: 2_048, most: 16_384 };

/** Reports whether `<type> <base64>` is a complete key with valid values: any other would let no client in. */
export function isWholeKey(key: string): boolean {
  const [type = "", blob = ""] = key.split(" ");
  const bytes = findBytes(blob);
  const [name = none, ...parts] = (bytes && partsIn(bytes)) ?? [];
  return formatText(name) === type && checks[type]?.(parts) === true;
}

/** Returns the bits of an RSA key that is too short to be safe; undefined for any other text. */
export function weakRsaBits(key: string): number | undefined {
  const [type, blob = ""] = key.split(" ");
  const bytes = type === "ssh-rsa" ? findBytes(blob) : undefined;
  const parts = bytes && partsIn(bytes);
  if (parts?.length !== 3) return undefined;
  const bits = getBits(parts[2] ?? none);
  return bits < RSA_BITS.least ? bits : undefined;
}

export function tooWeak(bits: number): string {
  return `The RSA key has ${bits} bits, and at least ${RSA_BITS.least} are required: create another key with ssh-keygen -t ed25519`;
}

function getBits(number: Uint8Array): number {
  return toNumber(number).toString(2).length;
}

/** Requires an odd exponent and modulus, written as positive numbers without excess bytes (RFC 4251, 5). */
function isRsa([exponent = none, modulus = none, ...more]: readonly Uint8Array[]): boolean {
  if (more.length > 0 || exponent.length > 8 || ![exponent, modulus].every(isPositive)) return false;
  const [e, n] = [toNumber(exponent), toNumber(modulus)];
  const bits = getBits(modulus);
  return e >= 3n && e % 2n === 1n && n % 2n === 1n && bits >= RSA_BITS.least && bits <= RSA_BITS.most;
}

function isPositive([first = 0, second = 0]: Uint8Array): boolean {
  return first === 0 ? second >= 128 : first < 128;
}

/** Decodes only canonical base64, because servers compare the text. */
function findBytes(base64: string): Uint8Array | undefined {
  try {
    const text = atob(base64);
    return btoa(text) === base64 ? Uint8Array.from(text, (character) => character.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}

/** Splits bytes into parts, each after a length of four bytes; undefined if the lengths do not add up. */
function partsIn(bytes: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer);
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + view.getUint32(at);
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return at === bytes.length ? parts : undefined;
}

function formatText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

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
function isPoint(curveName: string, bytes: Uint8Array): boolean {
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
function isEd25519Point(bytes: Uint8Array): boolean {
  const y = toNumber(bytes.toReversed()) & (2n ** 255n - 1n);
  if (bytes.length !== 32 || y >= ED25519_PRIME) return false;
  const square = (y * y - 1n) * (ED25519_D * y * y + 1n);
  return power(square % ED25519_PRIME, (ED25519_PRIME - 1n) / 2n, ED25519_PRIME) <= 1n;
}

/** Reads big-endian bytes as a number. */
function toNumber(bytes: Uint8Array): bigint {
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
