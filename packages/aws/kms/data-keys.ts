import { createSecretKey, type KeyObject } from "node:crypto";
import { limiter } from "#core/reconciler/limiter.ts";
import { WrongSeal } from "#core/store/sealed.ts";
import { AwsServiceError } from "../service-error.ts";
import type { Kms } from "./kms.ts";

export interface DataKey {
  readonly key: KeyObject;
  /** Encrypted by KMS, base64url: stored with all that is sealed under it. */
  readonly encrypted: string;
}

export interface DataKeys {
  /** The one to seal with. */
  current(): Promise<DataKey>;
  /** Throws `WrongSeal` for what KMS never made. */
  open(encrypted: string): Promise<KeyObject>;
}

/** How long a key is used. Then KMS is asked again, and refuses whoever lost the right to it. */
const keptMs = 5 * 60_000;
/** Far below the 2^32 after which random nonces of AES-GCM may repeat (NIST SP 800-38D section 8.3). */
const mostUses = 2 ** 20;
const mostKept = 1_000;
/**
 * So many Decrypts go on at a time. Each process of the last hours sealed under a key of its own, so a list of 500 jobs
 * may need 500 keys, and the rate that KMS allows (KMS Developer Guide, "Request quotas") is that of the whole account.
 */
const openedAtOnce = 20;

interface Kept<Key> {
  readonly made: Promise<Key>;
  readonly endsAt: number;
  uses: number;
}

/** Keeps plaintext data keys in this process. Concurrent callers share one call of KMS; a failed call is not kept. */
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
    // Only this error says that the text is not ours. Denied, disabled and throttled pass: no sealed data is given up
    // for them.
    if (error instanceof AwsServiceError && error.name === "InvalidCiphertextException") throw new WrongSeal();
    throw error;
  }
}

function getKey(plain: Buffer): KeyObject {
  const key = createSecretKey(plain);
  plain.fill(0);
  return key;
}
