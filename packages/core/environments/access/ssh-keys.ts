import { isWholeKey, weakRsaBits } from "./whole-key.ts";

/** What docs/apis/gpu-dev.md#job-actions lets in; security keys have types of their own that begin with `sk-`. */
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
 * The public keys in a text of one key a line, as `<type> <base64>`: comments are dropped. A line that begins with
 * anything but a known type is none, so authorized_keys options cannot come in (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
 */
export function usableKeys(text: string): string[] {
  const keys = text.split("\n").flatMap((line) => keyOf(line.replace(/\r$/, "")));
  return [...new Set(keys)].slice(0, MOST_KEYS);
}

/** Said once in the timeline, whatever was wrong: a key is in no text that people see. */
export const KEY_REFUSED = "An SSH key was not let in: it is no public key of a known type in one line, or too weak";

/**
 * Picks the texts that are one key each: a line break at the end is no part of a key, one inside makes the text more
 * than one key.
 */
export function ownKeys(texts: readonly string[] = []): { readonly keys: string[]; readonly areAllUsable: boolean } {
  const lines = texts.map((text) => text.replace(/\s+$/, ""));
  const usable = lines.map(keyOf);
  const keys = [...new Set(usable.flat())].slice(0, MOST_KEYS);
  return { keys, areAllUsable: usable.every((found) => found.length > 0) };
}

/** The key that a text is: one line, its end may be there. Undefined for anything else, options before a key too. */
export function publicKeyOf(text: string): string | undefined {
  return keyOf(text.replace(/\r?\n$/, "")).find(isWholeKey);
}

function keyOf(line: string): string[] {
  const [type = "", blob = ""] = line.split(" ");
  if (!types.includes(type) || blob.length > LONGEST_KEY) return [];
  if (!/^[A-Za-z0-9+/]{32,}={0,2}$/.test(blob) || !blob.startsWith(headOf(type))) return [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a line must not hold
  if (/[\u0000-\u001f\u007f]/.test(line)) return [];
  const key = `${type} ${blob}`;
  return weakRsaBits(key) === undefined ? [key] : [];
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** A key's bytes begin with its type again, after the length in four bytes (RFC 4253, 6.6): here the whole sextets. */
function headOf(type: string): string {
  const bytes = [0, 0, 0, type.length, ...[...type].map((character) => character.charCodeAt(0))];
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const sextets = bits.match(/.{6}/g) ?? [];
  return sextets.map((sextet) => alphabet[Number.parseInt(sextet, 2)]).join("");
}
