import { hash, timingSafeEqual } from "node:crypto";

/** In it the edge says that a request came through it (docs/architecture/edge.md). */
export const ORIGIN_HEADER = "x-berth-origin";

/**
 * Whether what a request has in that header is one of the secrets, in a time that tells nothing of them. While they are
 * rotated there are two: the edges of the world change within minutes, not at once.
 */
export function originCheck(secrets: readonly string[]): (header: string | undefined) => boolean {
  const digests = secrets.map(getDigest);
  return (header) => {
    const digest = getDigest(header ?? "");
    return digests.map((knownDigest) => timingSafeEqual(knownDigest, digest)).includes(true);
  };
}

/** Hashes a text, so that all digests have one length. */
function getDigest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
