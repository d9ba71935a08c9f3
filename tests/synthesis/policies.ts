import type { Resource } from "./synthesize.ts";

/** A policy as text, and whose it is. */
export interface MadePolicy {
  /** Of the role; for any other policy of the resource that it is on. */
  readonly of: string;
  readonly document: string;
}

/** The policies of roles: IAM counts those of one role together. */
export function rolePolicies(resources: readonly Resource[]): MadePolicy[] {
  const inline = ofType(resources, "aws:iam/role:Role").flatMap(({ name, inputs }) =>
    (inputs.inlinePolicies ?? []).map(({ policy }: { policy: string }) => ({ of: name, document: policy })),
  );
  const apart = ofType(resources, "aws:iam/rolePolicy:RolePolicy").map(({ inputs }) => ({
    of: String(inputs.role),
    document: inputs.policy,
  }));
  return [...inline, ...apart];
}

/** Principals that may assume a role. */
export function trustPolicies(resources: readonly Resource[]): MadePolicy[] {
  return ofType(resources, "aws:iam/role:Role").map(({ name, inputs }) => ({
    of: name,
    document: formatText(inputs.assumeRolePolicy),
  }));
}

function ofType(resources: readonly Resource[], wanted: string): Resource[] {
  return resources.filter(({ type, read: result }) => type === wanted && !result);
}

function formatText(policy: unknown): string {
  return typeof policy === "string" ? policy : JSON.stringify(policy);
}
