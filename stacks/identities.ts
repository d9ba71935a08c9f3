import type { FunctionEntry } from "./compute/functions-file.ts";
import { type Arns, buildStatements, findRole, getClusterGroup, type RoleKind } from "./compute/roles.ts";

/** Trusts only Lambda: SST's own roles trust the whole account too, for its live functions. */
const trust = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
};

/**
 * Returns a function that creates each role on first use. Roles that use compute get access to the cluster, whose
 * authentication mode must allow access entries (EKS User Guide, "Grant IAM users access to Kubernetes with EKS
 * access entries").
 */
export function makeRoles(
  clusterName: $util.Input<string>,
  arns: Arns<$util.Input<string>>,
  socketPolicy: $util.Input<string>,
): (entry: FunctionEntry) => $util.Output<string> {
  const made = new Map<string, aws.iam.Role>();
  return (entry) => {
    const kind = findRole(entry);
    const existing = made.get(kind.name);
    if (existing) return existing.arn;
    const role = makeRole(kind, arns, socketPolicy);
    made.set(kind.name, role);
    if (kind.uses.includes("compute")) {
      new aws.eks.AccessEntry(`${kind.name}Access`, {
        clusterName,
        principalArn: role.arn,
        kubernetesGroups: [getClusterGroup(kind)],
        type: "STANDARD",
      });
    }
    return role.arn;
  };
}

/**
 * Keeps all policies of a role in `inlinePolicies`. The provider treats that list as complete: after a refresh it
 * would remove the policy of a separate `aws.iam.RolePolicy`, and no later deployment would restore it (Pulumi
 * Registry, "aws.iam.Role", inlinePolicies).
 */
function makeRole(kind: RoleKind, arns: Arns<$util.Input<string>>, socketPolicy: $util.Input<string>): aws.iam.Role {
  const policy = $util.jsonStringify({ Version: "2012-10-17", Statement: buildStatements(kind, arns) });
  return new aws.iam.Role(kind.name, {
    assumeRolePolicy: JSON.stringify(trust),
    inlinePolicies: [
      { name: "ports", policy },
      ...(kind.kind === "socket" ? [{ name: "socket", policy: socketPolicy }] : []),
    ],
  });
}

interface WithArn {
  readonly arn: $util.Input<string>;
}

export function buildArns(made: {
  readonly deployment: string;
  readonly stage: string;
  readonly table: WithArn;
  readonly queues: Arns<$util.Input<string>>["queues"];
  readonly bucket: WithArn;
  readonly sealerKey: WithArn;
  readonly eksCluster: string;
  readonly ebsKey: string | undefined;
  readonly inNetwork: boolean;
}): Arns<$util.Input<string>> {
  const region = aws.getRegionOutput().name;
  const account = aws.getCallerIdentityOutput().accountId;
  const partition = aws.getPartitionOutput().partition;
  const arn = (service: string, rest: string) =>
    $util.interpolate`arn:${partition}:${service}:${region}:${account}:${rest}`;
  return {
    table: made.table.arn,
    tableIndexes: $util.interpolate`${made.table.arn}/index/*`,
    queues: made.queues,
    bucket: made.bucket.arn,
    bucketObjects: $util.interpolate`${made.bucket.arn}/*`,
    sealerKey: made.sealerKey.arn,
    cluster: arn("eks", `cluster/${made.eksCluster}`),
    nodeGroups: arn("eks", `nodegroup/${made.eksCluster}/*/*`),
    logGroups: arn("logs", `log-group:/berth/${made.stage}/*:*`),
    volumes: arn("ec2", "volume/*"),
    // A snapshot's ARN names no account.
    snapshots: $util.interpolate`arn:${partition}:ec2:${region}::snapshot/*`,
    instances: arn("ec2", "instance/*"),
    ebsKey: made.ebsKey,
    ec2Service: $util.interpolate`ec2.${region}.amazonaws.com`,
    deployment: made.deployment,
    inNetwork: made.inNetwork,
  };
}
