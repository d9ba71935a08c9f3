import type { Resource } from "./synthesize.ts";

export interface MadePolicy {
  /** The role, or the resource that has the policy. */
  readonly of: string;
  readonly document: string;
}

/** Lists the policies of roles. IAM limits the sum per role. */
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
