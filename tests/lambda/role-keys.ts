import { createHash } from "node:crypto";
import type { LocalIdentity } from "#local/identity/identities.ts";
import { ACCOUNT } from "../synthesis/cloud.ts";
import type { Resource } from "../synthesis/synthesize.ts";

/** The credentials that Lambda gives a function for its role. */
export type RoleKey = Readonly<Record<"accessKeyId" | "secretAccessKey" | "sessionToken", string>>;

/** The credentials of a role: those of another one open nothing that this one may. */
export function keyOfRole(arn: string): RoleKey {
  const digest = createHash("sha256").update(arn).digest("hex");
  return {
    accessKeyId: `ASIA${digest.slice(0, 16).toUpperCase()}`,
    secretAccessKey: digest.slice(0, 40),
    sessionToken: `session-${digest.slice(40)}`,
  };
}

/** The ARNs of the roles of a stage's functions, each once. */
export function functionRoles(resources: readonly Resource[]): string[] {
  const made = resources.filter(({ type, read: result }) => type === "aws:lambda/function:Function" && !result);
  return [...new Set(made.map(({ inputs }) => String(inputs.role)))];
}

/** Returns the identity of a function of this role at STS. */
export function identityOfRole(arn: string): LocalIdentity {
  const name = arn.slice(arn.lastIndexOf("/") + 1);
  return {
    ...keyOfRole(arn),
    account: ACCOUNT,
    arn: `arn:aws:sts::${ACCOUNT}:assumed-role/${name}/function`,
    session: "function",
    userId: `AROA${name.toUpperCase()}:function`,
  };
}
