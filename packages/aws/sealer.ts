import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Sealer } from "#core/ports/sealer.ts";
import { asSealed, WrongSeal } from "#core/sealed.ts";
import { readConfig } from "./config.ts";

/** The sealer of this deployment: its key lies in the file that SEALER_KEY_FILE names. */
export const sealer = (): Sealer => keyFileSealer(readConfig(["SEALER_KEY_FILE"]).SEALER_KEY_FILE);

/** Seals with the key in a local file, which is read at once. Throws when others may read it or it holds no key. */
export function keyFileSealer(path: string): Sealer {
  // Given as bytes, each use would make a key object anew.
  return aesSealer(createSecretKey(readKey(path)));
}

/** Which key that is, for whoever does not have it: a hash, of which 64 bits are enough to tell it from another. */
export function keyIdOf(path: string): string {
  return createHash("sha256").update("which sealing key").update(readKey(path)).digest("hex").slice(0, 16);
}

function readKey(path: string): Buffer {
  if ((statSync(path).mode & 0o077) !== 0) throw new Error(`The key file ${path} must have mode 600`);
  const key = Buffer.from(readFileSync(path, "utf8").trim(), "base64url");
  if (key.length !== keyBytes) throw new Error(`The key file ${path} does not hold a key of 256 bits`);
  return key;
}

/** What a key file holds: a new random key. */
export function newKeyText(): string {
  return `${randomBytes(keyBytes).toString("base64url")}\n`;
}

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const form = /^v1\.([A-Za-z0-9_-]+)$/;

/** AES-256-GCM with a random nonce; the context is additional data, so a text opens only for its own record. */
function aesSealer(key: KeyObject): Sealer {
  return {
    async seal(text, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return asSealed(`v1.${sealed.toString("base64url")}`);
    },
    async open(sealed, context) {
      const bytes = Buffer.from(form.exec(sealed)?.[1] ?? "", "base64url");
      if (bytes.length < nonceBytes + tagBytes) throw new WrongSeal();
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-tagBytes));
      const text = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
      return Buffer.concat([text, finalOf(decipher)]).toString("utf8");
    },
  };
}

function finalOf(decipher: DecipherGCM): Buffer {
  try {
    return decipher.final();
  } catch {
    throw new WrongSeal();
  }
}
