import type { Identity } from "#core/ports/identity.ts";
import { readConfig } from "../settings/config.ts";
import { signIdentityRequest } from "./identity-signature.ts";
import { askSts } from "./sts-call.ts";

export interface StsIdentityOptions {
  /** STS endpoint for a caller's credentials. A signed request goes to its own URL. */
  readonly endpoint: string;
  readonly region: string;
}

export const identity = (): Identity => {
  const { AWS_REGION, AWS_ENDPOINT_URL_STS } = readConfig(["AWS_REGION", "AWS_ENDPOINT_URL_STS"]);
  const endpoint = AWS_ENDPOINT_URL_STS ?? `https://sts.${AWS_REGION}.amazonaws.com`;
  return stsIdentity({ endpoint, region: AWS_REGION });
};

/** Identifies callers through STS. Never stores or logs credentials. */
export function stsIdentity({ endpoint, region }: StsIdentityOptions): Identity {
  return {
    // Signs each attempt again, since a signature is valid for a few minutes only.
    callerOfCredentials: (credentials) => askSts(() => signIdentityRequest(credentials, { endpoint, region })),
    callerOfRequest: (request) => askSts(async () => ({ ...request, headers: forwarded(request.headers) })),
  };
}

const forwardedNames = new Set(["authorization", "x-berth-server-id", "content-type", "accept"]);

/** Returns only the headers that a signed GetCallerIdentity needs (docs/apis/gpu-dev.md#log-in). */
function forwarded(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(entries.filter(([name]) => forwardedNames.has(name) || name.startsWith("x-amz-")));
}
