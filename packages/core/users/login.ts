import type { Context } from "../context.ts";
import type { AwsCredentials, CallerIdentity, SignedIdentityRequest } from "../ports/identity.ts";
import { IdentityRefused, Problem } from "../problem.ts";
import { Unreadable } from "../store/unreadable.ts";
import { type IssuedKey, issueKey } from "./issue.ts";
import type { User } from "./record.ts";
import { findOrCreateUser } from "./register.ts";
import { type AssumedRole, parseAssumedRole } from "./username.ts";

export type LoginProof =
  | { readonly kind: "credentials"; readonly credentials: AwsCredentials }
  | { readonly kind: "request"; readonly request: SignedIdentityRequest };

export interface Login {
  readonly user: User;
  readonly arn: string;
  readonly key: IssuedKey;
}

/** Logs in the caller that STS confirms (docs/apis/gpu-dev.md#log-in). Throws the documented texts. */
export async function login(ctx: Context<"table" | "queue" | "identity">, proof: LoginProof): Promise<Login> {
  const caller = await askSts(ctx, proof);
  const role = allowedRole(ctx, caller);
  try {
    const user = await findOrCreateUser(ctx, role);
    if (user.disabled) throw new Problem("forbidden", "User account is disabled", { errorCode: "user_disabled" });
    return { user, arn: caller.arn, key: await issueKey(ctx, user, role.role) };
  } catch (error) {
    if (error instanceof Problem || error instanceof Unreadable) throw error;
    throw new Problem("failed", "Failed to create API key", { cause: error });
  }
}

const refusals: Readonly<Record<string, string>> = {
  InvalidClientTokenId: "Invalid AWS credentials",
  SignatureDoesNotMatch: "AWS signature verification failed",
};

async function askSts(ctx: Context<"identity">, proof: LoginProof): Promise<CallerIdentity> {
  try {
    if (proof.kind === "credentials") return await ctx.identity.callerOfCredentials(proof.credentials);
    return await ctx.identity.callerOfRequest(proof.request);
  } catch (error) {
    if (error instanceof IdentityRefused) {
      throw new Problem("unauthenticated", refusals[error.code] ?? `AWS authentication failed: ${error.code}`);
    }
    throw new Problem("failed", "Failed to verify AWS credentials", { cause: error, errorCode: "unavailable" });
  }
}

function allowedRole(ctx: Context, caller: CallerIdentity): AssumedRole {
  const { allowedRoles, adminRoles, allowedAccounts } = ctx.settings;
  const assumed = parseAssumedRole(caller);
  if (!assumed || ![...allowedRoles, ...adminRoles].includes(assumed.role)) {
    const got = assumed?.role ?? "none";
    throw new Problem("forbidden", `Access denied. Required role: ${allowedRoles.join(", ")}, got: ${got}`);
  }
  if (!allowedAccounts.includes(assumed.account)) {
    throw new Problem("forbidden", `Access denied. AWS account ${assumed.account} is not allowed`);
  }
  return assumed;
}
