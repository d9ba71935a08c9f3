export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** A GetCallerIdentity request signed by the client and validated by the login. */
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
 * Identifies callers through STS. Throws `IdentityRefused` with the error code of STS, or another error if STS could
 * not be reached (3 tries of at most 3 s, 10 s in total).
 */
export interface Identity {
  callerOfCredentials(credentials: AwsCredentials): Promise<CallerIdentity>;
  callerOfRequest(request: SignedIdentityRequest): Promise<CallerIdentity>;
}

export interface GithubKeys {
  /** Returns the keys, one per line, or undefined if there is no such user. Throws if GitHub did not answer in time. */
  fetchKeys(user: string, patienceMs?: number): Promise<string | undefined>;
}
