import { hash, timingSafeEqual } from "node:crypto";

/** Header with the secret that shows that a request came through the edge (docs/architecture/edge.md). */
export const ORIGIN_HEADER = "x-berth-origin";

/** Returns a constant-time check of that header. During a rotation there are two secrets, since edges update slowly. */
export function originCheck(secrets: readonly string[]): (header: string | undefined) => boolean {
  const digests = secrets.map(getDigest);
  return (header) => {
    const digest = getDigest(header ?? "");
    return digests.map((knownDigest) => timingSafeEqual(knownDigest, digest)).includes(true);
  };
}

function getDigest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
