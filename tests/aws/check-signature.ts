import { createHash, createHmac } from "node:crypto";

/** A request as it arrived, its query still escaped. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

export interface KnownKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/**
 * Why AWS would refuse this signature (Signature Version 4, in the Authorization header or in the query), by its error
 * code; undefined: it is right. Written from AWS's document of the algorithm, without the signer that the adapters use.
 */
export function wrongSignature(request: Arrived, service: string, keys: readonly KnownKey[], now = Date.now()) {
  const parts = findParts(request);
  if (!parts) return "MissingAuthenticationToken";
  const [accessKeyId = "", ...scope] = parts.credential.split("/");
  const key = keys.find((knownKey) => knownKey.accessKeyId === accessKeyId && knownKey.sessionToken === parts.token);
  if (!key) return "InvalidAccessKeyId";
  const signedAt = Date.parse(parts.date.replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5"));
  if (now < signedAt - 900_000 || now > signedAt + parts.seconds * 1000) return "AccessDenied";
  if (!parts.signedHeaders.includes("host")) return "SignatureDoesNotMatch";
  const lines = parts.signedHeaders.map((name) => `${name}:${(request.headers[name] ?? "").trim()}\n`);
  // Every service but S3 escapes a path once more.
  const path = service === "s3" ? request.path : request.path.split("/").map(encodeURIComponent).join("/");
  const canonical = [
    request.method,
    path,
    parts.query,
    lines.join(""),
    parts.signedHeaders.join(";"),
    parts.payload,
  ].join("\n");
  const text = ["AWS4-HMAC-SHA256", parts.date, scope.join("/"), sha256(canonical)].join("\n");
  const signing = scope.reduce<Buffer | string>((under, part) => hmac(under, part), `AWS4${key.secretAccessKey}`);
  if (hmac(signing, text).toString("hex") !== parts.signature || scope[2] !== service) return "SignatureDoesNotMatch";
  return parts.payload === "UNSIGNED-PAYLOAD" || parts.payload === sha256(request.body)
    ? undefined
    : "XAmzContentSHA256Mismatch";
}

function findParts(request: Arrived) {
  const pairs = request.query.split("&").filter(Boolean).sort();
  const query = new URLSearchParams(request.query);
  const authorization = request.headers.authorization;
  if (authorization) {
    const field = (name: string) => new RegExp(`${name}=([^,]+)`).exec(authorization)?.[1] ?? "";
    return {
      credential: field("Credential"),
      signature: field("Signature"),
      seconds: 900,
      query: pairs.join("&"),
      signedHeaders: field("SignedHeaders").split(";"),
      date: request.headers["x-amz-date"] ?? "",
      token: request.headers["x-amz-security-token"],
      payload: request.headers["x-amz-content-sha256"] ?? sha256(request.body),
    };
  }
  const signature = query.get("X-Amz-Signature");
  if (signature === null) return undefined;
  return {
    credential: query.get("X-Amz-Credential") ?? "",
    signature,
    seconds: Number(query.get("X-Amz-Expires")),
    query: pairs.filter((pair) => !pair.startsWith("X-Amz-Signature=")).join("&"),
    signedHeaders: (query.get("X-Amz-SignedHeaders") ?? "").split(";"),
    date: query.get("X-Amz-Date") ?? "",
    token: query.get("X-Amz-Security-Token") ?? undefined,
    payload: "UNSIGNED-PAYLOAD",
  };
}

function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
