import type { Identity } from "#core/ports/identity.ts";
import { readConfig } from "../settings/config.ts";
import { signIdentityRequest } from "./identity-signature.ts";
import { askSts } from "./sts-call.ts";

export interface StsIdentityOptions {
  /** Of the STS that is asked with a caller's credentials; a signed request goes where it was signed for. */
  readonly endpoint: string;
  readonly region: string;
}

/** STS in this deployment's region, or where AWS_ENDPOINT_URL_STS points. */
export const identity = (): Identity => {
  const { AWS_REGION, AWS_ENDPOINT_URL_STS } = readConfig(["AWS_REGION", "AWS_ENDPOINT_URL_STS"]);
  const endpoint = AWS_ENDPOINT_URL_STS ?? `https://sts.${AWS_REGION}.amazonaws.com`;
  return stsIdentity({ endpoint, region: AWS_REGION });
};

/** Asks STS who a caller is; never keeps or logs what it is given. */
export function stsIdentity({ endpoint, region }: StsIdentityOptions): Identity {
  return {
    // Signed again for each try: a signature is good for some minutes only.
    callerOfCredentials: (credentials) => askSts(() => signIdentityRequest(credentials, { endpoint, region })),
    callerOfRequest: (request) => askSts(async () => ({ ...request, headers: forwarded(request.headers) })),
  };
}

const forwardedNames = new Set(["authorization", "x-berth-server-id", "content-type", "accept"]);

/** Only what a signed GetCallerIdentity needs (docs/apis/gpu-dev.md#log-in); fetch adds the host of the URL itself. */
function forwarded(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(entries.filter(([name]) => forwardedNames.has(name) || name.startsWith("x-amz-")));
}
