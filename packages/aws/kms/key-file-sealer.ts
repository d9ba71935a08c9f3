import { createHash, createSecretKey, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Sealer } from "#core/ports/sealer.ts";
import { asSealed } from "#core/store/sealed.ts";
import { decrypt, encrypt } from "./aes-gcm.ts";

/** Seals with the key in a local file, which is read at once. Throws if others may read the file or it holds no key. */
export function keyFileSealer(path: string): Sealer {
  // With raw bytes, each use would create a key object.
  const key = createSecretKey(readKey(path));
  return {
    seal: async (text, context) => asSealed(`v1.${encrypt(key, text, context).toString("base64url")}`),
    open: async (sealed, context) => decrypt(key, Buffer.from(form.exec(sealed)?.[1] ?? "", "base64url"), context),
  };
}

/** Returns an id that identifies the key to processes without it: a hash of 64 bits. */
export function readKeyId(path: string): string {
  return createHash("sha256").update("which sealing key").update(readKey(path)).digest("hex").slice(0, 16);
}

function readKey(path: string): Buffer {
  if ((statSync(path).mode & 0o077) !== 0) throw new Error(`The key file ${path} must have mode 600`);
  const key = Buffer.from(readFileSync(path, "utf8").trim(), "base64url");
  if (key.length !== keyBytes) throw new Error(`The key file ${path} does not contain a key of 256 bits`);
  return key;
}

export function newKeyText(): string {
  return `${randomBytes(keyBytes).toString("base64url")}\n`;
}

const keyBytes = 32;
const form = /^v1\.([A-Za-z0-9_-]+)$/;
