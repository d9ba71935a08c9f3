import type { Sealer } from "#core/ports/sealer.ts";
import { asSealed, WrongSeal } from "#core/store/sealed.ts";
import { environmentCredentials } from "../service-call.ts";
import { readConfig } from "../settings/config.ts";
import { decrypt, encrypt } from "./aes-gcm.ts";
import { createKms, dataKeys, type Kms } from "./data-keys.ts";

export const sealer = (): Sealer => {
  const config = readConfig(["SEALER_KEY_ID", "AWS_REGION", "AWS_ENDPOINT_URL_KMS"]);
  const { SEALER_KEY_ID, AWS_REGION: region, AWS_ENDPOINT_URL_KMS } = config;
  const url = AWS_ENDPOINT_URL_KMS ?? `https://kms.${region}.amazonaws.com`;
  return kmsSealer(createKms({ name: "kms", region, url, credentials: environmentCredentials }, SEALER_KEY_ID));
};

/**
 * Seals by envelope encryption: a data key of KMS, used for 5 minutes, encrypts the text. The sealed text contains the
 * encrypted data key, so any rotation of the KMS key opens it. Throws `WrongSeal` for a changed text, another context,
 * or an unknown data key; passes on errors of KMS.
 */
export function kmsSealer(kms: Kms, now: () => number = Date.now): Sealer {
  const keys = dataKeys(kms, now);
  return {
    async seal(text, context) {
      const { key, encrypted } = await keys.current();
      return asSealed(`k1.${encrypted}.${encrypt(key, text, context).toString("base64url")}`);
    },
    async open(sealed, context) {
      const [, encrypted, bytes] = sealedPattern.exec(sealed) ?? [];
      if (!encrypted || !bytes) throw new WrongSeal();
      return decrypt(await keys.open(encrypted), Buffer.from(bytes, "base64url"), context);
    },
  };
}

/** An encrypted data key has about 180 bytes, 240 characters here. KMS accepts ciphertexts of up to 6,144 bytes. */
const sealedPattern = /^k1\.([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]+)$/;
