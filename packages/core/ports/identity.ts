export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** A GetCallerIdentity request that the client signed itself, already checked by the login. */
export interface SignedIdentityRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface CallerIdentity {
  readonly account: string;
  readonly arn: string;
}

/**
 * Asks STS who somebody is. Throws `IdentityRefused` with STS's own code when it says no,
 * anything else when STS could not be asked (3 tries of at most 3 s, 10 s together).
 */
export interface Identity {
  callerOfCredentials(credentials: AwsCredentials): Promise<CallerIdentity>;
  callerOfRequest(request: SignedIdentityRequest): Promise<CallerIdentity>;
}
