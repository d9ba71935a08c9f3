import type { AwsCredentials } from "#core/ports/identity.ts";

/** Where a client finds its service. All absent on Lambda, where the SDK takes them from the environment. */
export interface ServiceAddress {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
}

/** How long a service may take to accept a connection, and to answer. */
export interface ServicePatience {
  readonly connectMs?: number;
  readonly answerMs?: number;
  /** All tries of a call that changes something, and what it has to ask for before. */
  readonly changeMs?: number;
}

/**
 * What every SDK client is made with: a service that hangs costs 3 s to connect or 5 s to answer, at most three times. A
 * Lambda of 512 MB has 0.29 of a processor: its first TLS connection takes longer than 1 s.
 */
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
