import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import type { SignatureV4 } from "@smithy/signature-v4";

/** Hash constructor, plain or keyed, in the form that the signer expects. */
export const NodeSha256 = function sha256(secret?: Uint8Array | string) {
  const fresh = (): Hash | Hmac => (secret === undefined ? createHash("sha256") : createHmac("sha256", secret));
  let hash = fresh();
  return {
    update(data: Uint8Array) {
      hash.update(data);
    },
    digest: async () => new Uint8Array(hash.digest()),
    reset() {
      hash = fresh();
    },
  };
} as unknown as ConstructorParameters<typeof SignatureV4>[0]["sha256"];
