import { isEd25519Point, isPoint, toNumber } from "./curve-point.ts";

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
