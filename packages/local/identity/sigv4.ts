import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { type ArrivedRequest, parseSignedRequest, SignatureRefused, type SignedParts } from "./sigv4-parts.ts";

export interface SigningKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresAt?: number;
}

export interface VerifyOptions<Known extends SigningKey> {
  readonly keys: readonly Known[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Returns the key that signed a request, in its Authorization header or its query (AWS Signature Version 4). Throws
 * `SignatureRefused` with STS's error codes.
 */
export function verifySignature<Known extends SigningKey>(
  request: ArrivedRequest,
  { keys, now }: VerifyOptions<Known>,
): Known {
  const parts = parseSignedRequest(request);
  const knownKey = keys.find(({ accessKeyId }) => accessKeyId === parts.accessKeyId);
  if (!knownKey || parts.sessionToken !== knownKey.sessionToken) {
    throw new SignatureRefused("InvalidClientTokenId", "The security token included in the request is invalid.");
  }
  requireAllSigned(parts, request.headers);
  requireFresh(parts, now);
  if (!isEqual(getSignature(parts, request, knownKey.secretAccessKey), parts.signature)) {
    throw mismatch("The request signature we calculated does not match the signature you provided.");
  }
  if (knownKey.expiresAt !== undefined && knownKey.expiresAt <= now) {
    throw new SignatureRefused("ExpiredToken", "The security token included in the request is expired");
  }
  return knownKey;
}

function requireAllSigned({ signedHeaders }: SignedParts, headers: ArrivedRequest["headers"]): void {
  const needed = Object.keys(headers).filter((name) => name === "host" || name.startsWith("x-amz-"));
  const missing = ["host", ...needed].find((name) => !signedHeaders.includes(name));
  if (missing) throw mismatch(`'${missing}' must be a 'SignedHeader' in the AWS Authorization.`);
}

const windowMs = 15 * 60_000;

/**
 * Refuses both too old and too new requests as SignatureDoesNotMatch, in STS's words. Presigned URLs have the same
 * limit.
 */
function requireFresh({ amzDate, signedAt, expiresSeconds }: SignedParts, now: number): void {
  const lifeMs = Math.min(windowMs, (expiresSeconds ?? 900) * 1000);
  const [nowText, oldest] = [basicTime(now), basicTime(now - lifeMs)];
  const minutes = Math.round(lifeMs / 60_000);
  if (signedAt < now - lifeMs) {
    throw mismatch(`Signature expired: ${amzDate} is now earlier than ${oldest} (${nowText} - ${minutes} min.)`);
  }
  if (signedAt > now + windowMs) {
    const newest = basicTime(now + windowMs);
    throw mismatch(`Signature not yet current: ${amzDate} is still later than ${newest} (${nowText} + 15 min.)`);
  }
}

function getSignature(parts: SignedParts, request: ArrivedRequest, secretAccessKey: string): string {
  const { amzDate, scope, signedHeaders, canonicalQuery } = parts;
  const headerLines = signedHeaders.map((name) => `${name}:${canonicalValue(ownHeader(request.headers, name))}\n`);
  const canonicalRequest = [
    request.method,
    new URL(request.target, "http://sts").pathname,
    canonicalQuery,
    headerLines.join(""),
    signedHeaders.join(";"),
    sha256(request.body),
  ].join("\n");
  const stringToSign = ["AWS4-HMAC-SHA256", amzDate, scope.join("/"), sha256(canonicalRequest)].join("\n");
  const key = scope.reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`);
  return hmac(key, stringToSign).toString("hex");
}

/** A client may list any header as signed, including names such as `constructor`. */
function ownHeader(headers: ArrivedRequest["headers"], name: string): string | undefined {
  return Object.hasOwn(headers, name) ? headers[name] : undefined;
}

function canonicalValue(value = ""): string {
  return value.trim().replace(/ +/g, " ");
}

function basicTime(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function isEqual(expected: string, text: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(text)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function mismatch(message: string): SignatureRefused {
  return new SignatureRefused("SignatureDoesNotMatch", message);
}
