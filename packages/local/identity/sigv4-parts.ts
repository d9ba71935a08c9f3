export interface ArrivedRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export class SignatureRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "SignatureRefused";
    this.code = code;
  }
}

export interface SignedParts {
  readonly accessKeyId: string;
  readonly scope: readonly string[];
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly amzDate: string;
  /** Milliseconds since the epoch. */
  readonly signedAt: number;
  readonly expiresSeconds: number | undefined;
  readonly sessionToken: string | undefined;
  readonly canonicalQuery: string;
}

/** Parses the signature of a request, in its header or its query. Throws `SignatureRefused` if it is incomplete. */
export function parseSignedRequest({ target, headers }: ArrivedRequest): SignedParts {
  const query = getQuery(target);
  const signature = headers.authorization ? fromHeader(headers.authorization, headers) : fromQuery(new Map(query));
  const scope = signature.credential.split("/");
  const accessKeyId = scope.shift() ?? "";
  const signedAt = getTime(signature.amzDate);
  if (scope.length !== 4 || scope[2] !== "sts" || scope[3] !== "aws4_request" || Number.isNaN(signedAt)) {
    throw incomplete("Credential should be scoped to a date, a region, 'sts' and 'aws4_request'.");
  }
  if (scope[0] !== signature.amzDate.slice(0, 8)) {
    throw new SignatureRefused(
      "SignatureDoesNotMatch",
      "Date in Credential scope does not match the date of the request",
    );
  }
  return { ...signature, accessKeyId, scope, signedAt, canonicalQuery: canonicalQuery(query) };
}

type Signature = Omit<SignedParts, "accessKeyId" | "scope" | "signedAt" | "canonicalQuery"> & {
  readonly credential: string;
};

function fromHeader(authorization: string, headers: ArrivedRequest["headers"]): Signature {
  const [algorithm = "", ...rest] = authorization.trim().split(/[\s,]+/);
  const fields = new Map(rest.map((part) => splitOnce(part)));
  const [credential, signedHeaders, signature] = ["Credential", "SignedHeaders", "Signature"].map((name) =>
    fields.get(name),
  );
  const amzDate = headers["x-amz-date"];
  if (algorithm !== "AWS4-HMAC-SHA256" || !credential || !signedHeaders || !signature || !amzDate) {
    throw incomplete(
      "Authorization header requires 'Credential', 'SignedHeaders', 'Signature' and an 'X-Amz-Date' header.",
    );
  }
  const sessionToken = headers["x-amz-security-token"];
  return {
    credential,
    signedHeaders: signedHeaders.split(";"),
    signature,
    amzDate,
    sessionToken,
    expiresSeconds: undefined,
  };
}

function fromQuery(query: ReadonlyMap<string, string>): Signature {
  if (!query.has("X-Amz-Algorithm")) {
    throw new SignatureRefused("MissingAuthenticationToken", "Request is missing Authentication Token");
  }
  const names = ["X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date"];
  const [credential, signedHeaders, signature, amzDate] = names.map((name) => query.get(name));
  const isKnown = query.get("X-Amz-Algorithm") === "AWS4-HMAC-SHA256";
  const expires = query.get("X-Amz-Expires") ?? "900";
  if (!isKnown || !credential || !signedHeaders || !signature || !amzDate || !/^\d{1,6}$/.test(expires)) {
    throw incomplete(`AWS query-string parameters must include ${names.join(", ")}.`);
  }
  const sessionToken = query.get("X-Amz-Security-Token");
  return {
    credential,
    signedHeaders: signedHeaders.split(";"),
    signature,
    amzDate,
    sessionToken,
    expiresSeconds: Number(expires),
  };
}

/** Decodes names and values. A lone `%` stands for itself; no signer writes one. */
function getQuery(target: string): [string, string][] {
  const [, query = ""] = splitOnce(target, "?");
  return query
    .split("&")
    .filter(Boolean)
    .map((part) => {
      const [name, value] = splitOnce(part);
      return [decode(name), decode(value)];
    });
}

function canonicalQuery(query: readonly [string, string][]): string {
  const encoded = query.filter(([name]) => name !== "X-Amz-Signature").map((pair) => pair.map(encode).join("="));
  return encoded.sort().join("&");
}

function splitOnce(text: string, separator = "="): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Encodes as RFC 3986 does: everything except letters, digits and - . _ ~ */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function getTime(amzDate: string): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(amzDate) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function incomplete(message: string): SignatureRefused {
  return new SignatureRefused("IncompleteSignature", message);
}
