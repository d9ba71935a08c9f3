import { createSecretKey, type KeyObject } from "node:crypto";
import { limiter } from "#core/reconciler/limiter.ts";
import { WrongSeal } from "#core/store/sealed.ts";
import { type AwsService, AwsServiceError, callService } from "../service-call.ts";

export interface DataKey {
  readonly key: KeyObject;
  /** Key encrypted by KMS, base64url; stored with each text that it seals. */
  readonly encrypted: string;
}

export interface DataKeys {
  /** Returns the key to seal with. */
  current(): Promise<DataKey>;
  /** Throws `WrongSeal` for a key that KMS did not make. */
  open(encrypted: string): Promise<KeyObject>;
}

/** Lifetime of a key in memory. KMS then checks the caller's rights again. */
const keptMs = 5 * 60_000;
/** Far below the 2^32 uses after which random nonces of AES-GCM may repeat (NIST SP 800-38D section 8.3). */
const mostUses = 2 ** 20;
const mostKept = 1_000;
/** Concurrent Decrypt calls. A list of 500 jobs may need 500 keys, and KMS limits the rate of the account. */
const openedAtOnce = 20;

interface Kept<Key> {
  readonly made: Promise<Key>;
  readonly endsAt: number;
  uses: number;
}

/** Caches plaintext data keys in this process. Concurrent callers share a call of KMS; failed calls are not cached. */
export function dataKeys(kms: Kms, now: () => number): DataKeys {
  let latest: Kept<DataKey> | undefined;
  const opened = new Map<string, Kept<KeyObject>>();
  const inTurn = limiter(openedAtOnce);

  function keep(encrypted: string, made: Promise<KeyObject>): Promise<KeyObject> {
    const kept = { made, endsAt: now() + keptMs, uses: 0 };
    opened.delete(encrypted);
    opened.set(encrypted, kept);
    for (const [oldest, { endsAt }] of opened) {
      if (opened.size <= mostKept && now() < endsAt) break;
      opened.delete(oldest);
    }
    made.catch(() => {
      if (opened.get(encrypted) === kept) opened.delete(encrypted);
    });
    return made;
  }

  async function makeKey(): Promise<DataKey> {
    const { plain, encrypted } = await kms.newDataKey();
    const made = { key: getKey(plain), encrypted: encrypted.toString("base64url") };
    await keep(made.encrypted, Promise.resolve(made.key));
    return made;
  }

  return {
    async current() {
      if (!latest || now() >= latest.endsAt || latest.uses >= mostUses) {
        latest = { made: makeKey(), endsAt: now() + keptMs, uses: 0 };
      }
      const mine = latest;
      mine.uses += 1;
      return mine.made.catch((error: unknown) => {
        if (latest === mine) latest = undefined;
        throw error;
      });
    },
    async open(encrypted) {
      const kept = opened.get(encrypted);
      if (kept && now() < kept.endsAt) return kept.made;
      return keep(
        encrypted,
        inTurn(() => openKey(kms, encrypted)),
      );
    },
  };
}

async function openKey(kms: Kms, encrypted: string): Promise<KeyObject> {
  try {
    return getKey(await kms.openDataKey(Buffer.from(encrypted, "base64url")));
  } catch (error) {
    // Only this error means a foreign text. Denied, disabled and throttled calls may succeed later, so no sealed data
    // is given up for them.
    if (error instanceof AwsServiceError && error.name === "InvalidCiphertextException") throw new WrongSeal();
    throw error;
  }
}

function getKey(plain: Buffer): KeyObject {
  const key = createSecretKey(plain);
  plain.fill(0);
  return key;
}

/** Calls of KMS that sealing needs. Keys travel as bytes and are never logged. */
export interface Kms {
  /** Returns a new key of 256 bits, plain and encrypted under the deployment's KMS key. */
  newDataKey(): Promise<{ readonly plain: Buffer; readonly encrypted: Buffer }>;
  /** Decrypts a key. KMS finds the key and its rotation by itself. */
  openDataKey(encrypted: Uint8Array): Promise<Buffer>;
}

/** Returns KMS with this key: an id, an ARN or an alias (`alias/berth`). */
export function createKms(service: AwsService, keyId: string): Kms {
  return {
    async newDataKey() {
      const input = { KeyId: keyId, KeySpec: "AES_256", EncryptionContext: context };
      const { Plaintext, CiphertextBlob } = await call(service, "GenerateDataKey", input);
      return { plain: getBytes(Plaintext), encrypted: getBytes(CiphertextBlob) };
    },
    async openDataKey(encrypted) {
      const input = { CiphertextBlob: Buffer.from(encrypted).toString("base64"), EncryptionContext: context };
      return getBytes((await call(service, "Decrypt", input)).Plaintext);
    },
  };
}

/** Shown in CloudTrail; the key's policy may require it (`kms:EncryptionContext:berth`). */
const context = { berth: "data-key" };

async function call(service: AwsService, name: string, input: object): Promise<Record<string, unknown>> {
  const answer = await callService(service, {
    name,
    method: "POST",
    path: "/",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${name}` },
    body: JSON.stringify(input),
  });
  return JSON.parse(Buffer.from(answer).toString("utf8")) as Record<string, unknown>;
}

function getBytes(field: unknown): Buffer {
  if (typeof field !== "string" || field === "") throw new Error("KMS answered without a key");
  return Buffer.from(field, "base64");
}
