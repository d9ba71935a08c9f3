import { createCipheriv, createDecipheriv, type DecipherGCM, type KeyObject, randomBytes } from "node:crypto";
import { WrongSeal } from "#core/store/sealed.ts";

const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM with a random nonce; the context is additional data, so a text opens only for its own record. */
export function encrypt(key: KeyObject, text: string, context: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** Throws `WrongSeal` for whatever was not encrypted with this key for this context, and left as it was. */
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
