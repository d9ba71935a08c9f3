import { podTrust } from "../cluster/pod-identity.ts";
import type { Stage } from "../stage.ts";
import type { Arns } from "./roles.ts";

/** The service account of the gateway's pods. A cluster has one gateway. */
const account = { namespace: "berth-system", serviceAccount: "berth-gateway" };

/**
 * Creates the role of the gateway's pods, if the stage has a gateway. EKS Pod Identity gives its credentials to one
 * service account of one cluster (EKS User Guide, "Learn how EKS Pod Identity grants pods access to AWS services").
 */
export function makeGatewayRole(
  stage: Stage,
  clusterName: $util.Input<string>,
  arns: Arns<$util.Input<string>>,
): aws.iam.Role | undefined {
  if (!stage.gateway) return undefined;
  const role = new aws.iam.Role("Gateway", {
    assumeRolePolicy: podTrust(arns.cluster, account),
    inlinePolicies: [
      { name: "gateway", policy: $util.jsonStringify({ Version: "2012-10-17", Statement: getRights(arns.table) }) },
    ],
  });
  new aws.eks.PodIdentityAssociation("Gateway", { clusterName, ...account, roleArn: role.arn });
  return role;
}

/**
 * Returns what the gateway does with the table (docs/architecture/gateway.md#the-program). Used tickets of web terminals
 * are all that it writes: a gateway that could write keys could make one for any user.
 */
function getRights(table: $util.Input<string>) {
  const allow = (Sid: string, actions: readonly string[], partitions: readonly string[]) => ({
    Sid,
    Effect: "Allow",
    Action: actions.map((action) => `dynamodb:${action}`),
    Resource: [table],
    Condition: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": partitions } },
  });
  return [
    allow("SshLogins", ["Query"], ["ssh-login#*"]),
    allow("Environments", ["GetItem", "BatchGetItem"], ["owner#*"]),
    allow("Records", ["GetItem"], ["host#*", "key#*"]),
    allow("Tickets", ["GetItem", "PutItem"], ["ticket#*"]),
  ];
}
