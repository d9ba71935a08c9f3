import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";

/** Length of the flags (1 byte) and the counter (4 bytes). */
const REST_BYTES = 5;
/** Flag of user presence: the user touched the key. */
const TOUCHED = 1;

interface SecurityKey {
  readonly application: Buffer;
  verify(signed: Buffer, signature: Buffer): boolean;
}

/** Reports whether a public key, `<type> <base64>`, is a security key. ssh2 does not support these. */
export function isSecurityKey(key: string): boolean {
  return Object.hasOwn(readers, typeOf(key));
}

/**
 * Reports whether a touched security key signed these bytes (OpenSSH's PROTOCOL.u2f, SSH U2F Signatures). `signature`
 * follows the algorithm name: the signature, flags and counter.
 */
export function isSignedBySecurityKey(key: string, bytes: Buffer, signature: Buffer): boolean {
  const rest = signature.subarray(-REST_BYTES);
  if (signature.length <= REST_BYTES || (Number(rest[0]) & TOUCHED) === 0) return false;
  const held = readKey(key);
  if (!held) return false;
  return held.verify(Buffer.concat([hash(held.application), rest, hash(bytes)]), signature.subarray(0, -REST_BYTES));
}

function readKey(key: string): SecurityKey | undefined {
  const [, ...parts] = findParts(Buffer.from(key.split(" ")[1] ?? "", "base64")) ?? [];
  try {
    return readers[typeOf(key)]?.(parts);
  } catch {
    // The bytes are not a point of the curve.
    return undefined;
  }
}

const readers: Readonly<Record<string, (parts: readonly Buffer[]) => SecurityKey | undefined>> = {
  "sk-ssh-ed25519@openssh.com": ([point, application]) => {
    if (!point || !application) return undefined;
    const key = getKey({ kty: "OKP", crv: "Ed25519", x: point.toString("base64url") });
    return { application, verify: (signed, signature) => verify(null, signed, key, signature) };
  },
  "sk-ecdsa-sha2-nistp256@openssh.com": ([, point, application]) => {
    if (!point || !application) return undefined;
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString("base64url"));
    const key = getKey({ kty: "EC", crv: "P-256", x: x ?? "", y: y ?? "" });
    return {
      application,
      verify: (signed, signature) => {
        const numbers = findParts(signature)?.map(toFixed);
        if (numbers?.length !== 2) return false;
        return verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, Buffer.concat(numbers));
      },
    };
  },
};

function getKey(key: {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y?: string;
}): KeyObject {
  return createPublicKey({ key, format: "jwk" });
}

function typeOf(key: string): string {
  return key.split(" ")[0] ?? "";
}

/** Splits length-prefixed parts. Returns undefined if the lengths do not match. */
function findParts(bytes: Buffer): Buffer[] | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readUInt32BE(at);
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return at === bytes.length ? parts : undefined;
}

/** Converts an SSH mpint to 32 bytes: drops a leading zero and pads a short number. */
function toFixed(number: Buffer): Buffer {
  const bare = number.length === 33 && number[0] === 0 ? number.subarray(1) : number;
  return bare.length > 32 ? bare : Buffer.concat([Buffer.alloc(32 - bare.length), bare]);
}

function hash(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}
