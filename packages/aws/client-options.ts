import type { AwsCredentials } from "#core/ports/identity.ts";

/** Address and credentials of a service. Absent on Lambda, where the SDK reads the environment. */
export interface ServiceAddress {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
}

export interface ServicePatience {
  readonly connectMs?: number;
  readonly answerMs?: number;
  /** Limit of a change with all its attempts and the reads before it. */
  readonly changeMs?: number;
}

/** Returns the options of every SDK client. A first TLS connection takes over 1 s on a Lambda of 512 MB. */
export function clientOptions(
  address: ServiceAddress | undefined,
  { connectMs = 3_000, answerMs = 5_000 }: ServicePatience = {},
) {
  const limits = {
    maxAttempts: 3,
    requestHandler: { connectionTimeout: connectMs, requestTimeout: answerMs, throwOnRequestTimeout: true },
  };
  if (!address) return limits;
  const { accessKeyId, secretAccessKey, sessionToken } = address.credentials;
  const session = sessionToken === undefined ? {} : { sessionToken };
  return {
    ...limits,
    endpoint: address.endpoint,
    region: address.region,
    credentials: { accessKeyId, secretAccessKey, ...session },
  };
}
