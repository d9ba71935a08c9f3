import { createHash } from "node:crypto";
import type { LocalIdentity } from "#local/identity/identities.ts";
import { ACCOUNT } from "../synthesis/cloud.ts";
import type { Resource } from "../synthesis/synthesize.ts";

export type RoleKey = Readonly<Record<"accessKeyId" | "secretAccessKey" | "sessionToken", string>>;

/** Returns the credentials of a role. Other roles have different ones. */
export function keyOfRole(arn: string): RoleKey {
  const digest = createHash("sha256").update(arn).digest("hex");
  return {
    accessKeyId: `ASIA${digest.slice(0, 16).toUpperCase()}`,
    secretAccessKey: digest.slice(0, 40),
    sessionToken: `session-${digest.slice(40)}`,
  };
}

export function functionRoles(resources: readonly Resource[]): string[] {
  const made = resources.filter(({ type, read: result }) => type === "aws:lambda/function:Function" && !result);
  return [...new Set(made.map(({ inputs }) => String(inputs.role)))];
}

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
