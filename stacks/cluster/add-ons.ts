import type { ClusterRoles } from "./cluster-roles.ts";
import { accounts } from "./cluster-roles.ts";

interface AddOnParts {
  readonly cluster: aws.eks.Cluster;
  readonly version: string;
  readonly roles: Pick<ClusterRoles, "network" | "disks" | "attached">;
  readonly keep: $util.CustomResourceOptions;
}

/**
 * Creates the add-ons without which no machine becomes ready, before the machines (EKS User Guide, "AWS add-ons"): the
 * network, which enforces network policies (EKS User Guide, "Limit Pod traffic with Kubernetes network policies"), and
 * the agent of Pod Identity, which gives it its role.
 */
export function makeFirstAddOns(parts: AddOnParts): aws.eks.Addon[] {
  const { roles } = parts;
  return [
    makeAddOn("eks-pod-identity-agent", parts),
    makeAddOn("kube-proxy", parts),
    makeAddOn("vpc-cni", parts, {
      configurationValues: JSON.stringify({ enableNetworkPolicy: "true" }),
      podIdentityAssociations: [{ roleArn: roles.network.arn, serviceAccount: accounts.network.serviceAccount }],
    }),
  ];
}

/** Creates the add-ons whose pods need a machine: EKS reports them as degraded until one is there. */
export function makeOtherAddOns(parts: AddOnParts, machines: aws.eks.NodeGroup): void {
  const after = [machines];
  makeAddOn("coredns", parts, { after });
  makeAddOn("metrics-server", parts, { after });
  makeAddOn("aws-ebs-csi-driver", parts, {
    after,
    podIdentityAssociations: [{ roleArn: parts.roles.disks.arn, serviceAccount: accounts.disks.serviceAccount }],
  });
}

type AddOnOptions = Pick<aws.eks.AddonArgs, "configurationValues" | "podIdentityAssociations"> & {
  readonly after?: readonly $util.Resource[];
};

/** Each has EKS's default version for this version of Kubernetes, so a deployment follows an upgraded cluster. */
function makeAddOn(
  addonName: string,
  { cluster, version, roles, keep }: AddOnParts,
  { after = [], ...args }: AddOnOptions = {},
): aws.eks.Addon {
  const addonVersion = aws.eks.getAddonVersionOutput({ addonName, kubernetesVersion: version }).version;
  return new aws.eks.Addon(
    `Cluster-${addonName}`,
    {
      clusterName: cluster.name,
      addonName,
      addonVersion,
      resolveConflictsOnCreate: "OVERWRITE",
      resolveConflictsOnUpdate: "PRESERVE",
      ...args,
    },
    { ...keep, dependsOn: [...roles.attached, ...after] },
  );
}
