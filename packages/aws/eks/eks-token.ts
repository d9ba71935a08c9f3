import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsCredentials } from "#core/ports/identity.ts";
import { NodeSha256 } from "../node-sha256.ts";

export interface EksTokenOptions {
  readonly region: string;
  readonly credentials: AwsCredentials;
  readonly signingDate: Date;
}

/** Lifetime of the signature. The cluster accepts the token for longer (eks-access.ts). */
const SIGNED_SECONDS = 60;

/** Makes the token of an AWS identity for an EKS cluster, byte for byte as `aws eks get-token`. */
export async function makeEksToken(
  cluster: string,
  { region, credentials, signingDate }: EksTokenOptions,
): Promise<string> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const session = sessionToken === undefined ? {} : { sessionToken };
  const signer = new SignatureV4({
    service: "sts",
    region,
    credentials: { accessKeyId, secretAccessKey, ...session },
    sha256: NodeSha256,
  });
  const host = `sts.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  const request = {
    method: "GET",
    protocol: "https:",
    hostname: host,
    path: "/",
    query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
    headers: { host, "x-k8s-aws-id": cluster },
  };
  const { query = {} } = await signer.presign(request, { signingDate, expiresIn: SIGNED_SECONDS });
  const named = order.flatMap((name) => (query[name] === undefined ? [] : [`${name}=${encoded(query[name])}`]));
  return `k8s-aws-v1.${Buffer.from(`https://${host}/?${named.join("&")}`).toString("base64url")}`;
}

/** Order of the AWS CLI. The signature does not depend on it. */
const order = [
  "Action",
  "Version",
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Date",
  "X-Amz-Expires",
  "X-Amz-SignedHeaders",
  "X-Amz-Security-Token",
  "X-Amz-Signature",
];

/** Percent-encodes all but letters, digits and `-._~` (RFC 3986), which `encodeURIComponent` does not. */
function encoded(value: unknown): string {
  return encodeURIComponent(String(value)).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
