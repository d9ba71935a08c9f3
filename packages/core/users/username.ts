import type { CallerIdentity } from "../ports/identity.ts";

export interface AssumedRole {
  readonly account: string;
  readonly role: string;
  readonly session: string;
}

/** Returns undefined for any other kind of ARN: users, roots and federated users have no role. */
export function parseAssumedRole({ account, arn }: CallerIdentity): AssumedRole | undefined {
  const match = /^arn:aws[a-z-]*:sts::\d{12}:assumed-role\/([^/]+)\/([^/]+)$/.exec(arn);
  const [, role, session] = match ?? [];
  return role && session ? { account, role, session } : undefined;
}

const LONGEST = 255;

/** Returns a username for a session: characters outside `a-zA-Z0-9._-` become `-`, and the suffix is appended. */
export function usernameFor(session: string, suffix: string): string {
  return session.replace(/[^a-zA-Z0-9._-]/g, "-").slice(0, LONGEST - suffix.length) + suffix;
}
