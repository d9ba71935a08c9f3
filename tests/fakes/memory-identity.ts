import { createHash } from "node:crypto";
import type { AwsCredentials, CallerIdentity, Identity, SignedIdentityRequest } from "#core/ports/identity.ts";
import { IdentityRefused } from "#core/problem.ts";

interface KnownCaller extends AwsCredentials, CallerIdentity {
  /** Milliseconds since the epoch; undefined: the session never ends. */
  readonly expiresAt?: number;
}

export interface MemoryIdentityOptions {
  readonly callers: readonly KnownCaller[];
  readonly now?: () => number;
  /** Reports whether STS is unreachable. */
  readonly isDown?: () => boolean;
}

/** STS in memory that knows these callers, and accepts signed requests of `signedBy`. */
export function memoryIdentity(options: MemoryIdentityOptions): Identity {
  const { callers, now = () => 0, isDown = () => false } = options;
  const identify = (
    accessKeyId: string,
    sessionToken: string | undefined,
    isSigned: (caller: KnownCaller) => boolean,
  ) => {
    if (isDown()) throw new Error("STS cannot be reached");
    const caller = callers.find((knownCaller) => knownCaller.accessKeyId === accessKeyId);
    if (!caller) throw new IdentityRefused("InvalidClientTokenId");
    if (caller.sessionToken !== sessionToken) throw new IdentityRefused("InvalidClientTokenId");
    if (!isSigned(caller)) throw new IdentityRefused("SignatureDoesNotMatch");
    if (caller.expiresAt !== undefined && caller.expiresAt <= now()) throw new IdentityRefused("ExpiredToken");
    return { account: caller.account, arn: caller.arn };
  };
  return {
    callerOfCredentials: async ({ accessKeyId, secretAccessKey, sessionToken }) =>
      identify(accessKeyId, sessionToken, (caller) => caller.secretAccessKey === secretAccessKey),
    async callerOfRequest({ headers }) {
      const authorization = headers.authorization ?? "";
      const accessKeyId = /Credential=([^/,]+)\//.exec(authorization)?.[1] ?? "";
      return identify(accessKeyId, headers["x-amz-security-token"], (caller) =>
        authorization.endsWith(`Signature=${signature(caller.secretAccessKey)}`),
      );
    },
  };
}

/** Returns a request that `memoryIdentity` accepts, in the outer form of a real one, with additional `headers`. */
export function signedBy(
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  { url, amzDate, serverId }: { readonly url: string; readonly amzDate: string; readonly serverId: string },
): SignedIdentityRequest {
  const scope = `${accessKeyId}/${amzDate.slice(0, 8)}/us-east-1/sts/aws4_request`;
  const signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-berth-server-id";
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=${scope}, ${signed}, Signature=${signature(secretAccessKey)}`,
    "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    host: new URL(url).host,
    "x-amz-date": amzDate,
    "x-berth-server-id": serverId,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  return { url, method: "POST", headers, body: "Action=GetCallerIdentity&Version=2011-06-15" };
}

function signature(secretAccessKey: string): string {
  return createHash("sha256").update(secretAccessKey).digest("hex");
}
