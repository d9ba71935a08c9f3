import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsCredentials, SignedIdentityRequest } from "#core/ports/identity.ts";
import { NodeSha256 } from "../node-sha256.ts";

export interface SigningOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly signingDate?: Date;
  /** Headers to sign as well, such as the id of the server that the request is for. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Returns a GetCallerIdentity request signed with SigV4 (AWS Signature Version 4 for API requests). */
export async function signIdentityRequest(
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  { endpoint, region, signingDate = new Date(), headers = {} }: SigningOptions,
): Promise<SignedIdentityRequest> {
  const url = new URL("/", endpoint);
  const session = sessionToken === undefined ? {} : { sessionToken };
  const credentials = { accessKeyId, secretAccessKey, ...session };
  const signer = new SignatureV4({ service: "sts", region, credentials, sha256: NodeSha256 });
  const request = {
    method: "POST",
    protocol: url.protocol,
    hostname: url.hostname,
    path: "/",
    headers: { host: url.host, "content-type": "application/x-www-form-urlencoded; charset=utf-8", ...headers },
    body,
  };
  const signed = await signer.sign(request, { signingDate });
  return { url: url.href, method: "POST", headers: signed.headers, body };
}

const body = "Action=GetCallerIdentity&Version=2011-06-15";
