import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsCredentials } from "#core/ports/identity.ts";

/** Returns a signer of requests to a service (AWS Signature Version 4). */
export function createSigner(service: string, region: string, { sessionToken, ...keys }: AwsCredentials): SignatureV4 {
  return new SignatureV4({
    service,
    region,
    credentials: sessionToken === undefined ? keys : { ...keys, sessionToken },
    sha256: NodeSha256,
    // S3 signs the path unchanged; other services escape it again.
    uriEscapePath: service !== "s3",
  });
}

/** Hash constructor, plain or keyed, in the form that the signer expects. */
const NodeSha256 = function sha256(secret?: Uint8Array | string) {
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
