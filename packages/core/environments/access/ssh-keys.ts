import { isWholeKey, weakRsaBits } from "./whole-key.ts";

/** The key types of docs/apis/gpu-dev.md#job-actions. Types of security keys begin with `sk-`. */
const types = [
  "ssh-rsa",
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ssh-ed25519@openssh.com",
  "sk-ecdsa-sha2-nistp256@openssh.com",
];
const MOST_KEYS = 64;
/** An RSA key of 16,384 bits has 2,776 characters. */
const LONGEST_KEY = 4096;

/**
 * Returns the public keys in a text, one per line. A line must begin with a known type, which excludes options
 * (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
 */
export function usableKeys(text: string): string[] {
  const keys = text.split("\n").flatMap((line) => getKey(line.replace(/\r$/, "")));
  return [...new Set(keys)].slice(0, MOST_KEYS);
}

/** Timeline entry for any rejected key. It never repeats the key. */
export const KEY_REFUSED = "An SSH key was ignored: it is not a one-line public key of a known type, or it is too weak";

/** Picks the texts that hold exactly one key each. A trailing line break is ignored. */
export function ownKeys(texts: readonly string[] = []): { readonly keys: string[]; readonly areAllUsable: boolean } {
  const lines = texts.map((text) => text.replace(/\s+$/, ""));
  const usable = lines.map(getKey);
  const keys = [...new Set(usable.flat())].slice(0, MOST_KEYS);
  return { keys, areAllUsable: usable.every((found) => found.length > 0) };
}

/** Returns the key in a text of one line; undefined for any other text, even for options before a key. */
export function parsePublicKey(text: string): string | undefined {
  return getKey(text.replace(/\r?\n$/, "")).find(isWholeKey);
}

function getKey(line: string): string[] {
  const [type = "", blob = ""] = line.split(" ");
  if (!types.includes(type) || blob.length > LONGEST_KEY) return [];
  if (!/^[A-Za-z0-9+/]{32,}={0,2}$/.test(blob) || !blob.startsWith(getHead(type))) return [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the check refuses lines with control characters
  if (/[\u0000-\u001f\u007f]/.test(line)) return [];
  const key = `${type} ${blob}`;
  return weakRsaBits(key) === undefined ? [key] : [];
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Returns the base64 prefix of this type: a length of four bytes and the type (RFC 4253, 6.6). */
function getHead(type: string): string {
  const bytes = [0, 0, 0, type.length, ...[...type].map((character) => character.charCodeAt(0))];
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const sextets = bits.match(/.{6}/g) ?? [];
  return sextets.map((sextet) => alphabet[Number.parseInt(sextet, 2)]).join("");
}
