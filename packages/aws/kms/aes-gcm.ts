import { createCipheriv, createDecipheriv, type DecipherGCM, type KeyObject, randomBytes } from "node:crypto";
import { WrongSeal } from "#core/store/sealed.ts";

const nonceBytes = 12;
const tagBytes = 16;

/** Encrypts with AES-256-GCM and a random nonce. The context is additional data: a text opens only for its record. */
export function encrypt(key: KeyObject, text: string, context: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** Throws `WrongSeal` if the bytes were changed, or encrypted with another key or context. */
export function decrypt(key: KeyObject, bytes: Uint8Array, context: string): string {
  if (bytes.length < nonceBytes + tagBytes) throw new WrongSeal();
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-tagBytes));
  const text = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
  return Buffer.concat([text, getFinal(decipher)]).toString("utf8");
}

function getFinal(decipher: DecipherGCM): Buffer {
  try {
    return decipher.final();
  } catch {
    throw new WrongSeal();
  }
}
