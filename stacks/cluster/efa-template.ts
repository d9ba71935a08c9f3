import { listInterfaces } from "./efa.ts";
import type { NodeGroup } from "./node-group-schema.ts";

type TemplateArgs = Pick<aws.ec2.LaunchTemplateArgs, "networkInterfaces" | "placement">;

interface EfaParts {
  readonly cluster: aws.eks.Cluster;
  readonly clusterName: string;
  readonly keep: $util.CustomResourceOptions;
}

/** Returns what EFA adds to the launch template of a group in one zone. `name` is that of its node group. */
export function makeEfaArgs(name: string, group: NodeGroup, parts: EfaParts): TemplateArgs {
  const { type, reservation, capacityBlock } = group;
  const securityGroup = parts.cluster.vpcConfig.apply(({ clusterSecurityGroupId }) => clusterSecurityGroupId);
  const networkInterfaces = listInterfaces(type).map((each) => ({ ...each, ...sharedArgs(securityGroup) }));
  // AWS places the machines of a Capacity Block itself (Amazon EC2 API Reference, "CapacityBlock"). Those of a reservation
  // may be apart: it would have to be made in the placement group ("Capacity Reservations for cluster placement groups").
  if (reservation || capacityBlock) return { networkInterfaces };
  return { networkInterfaces, placement: { groupName: makePlacementGroup(name, parts) } };
}

/** A cluster placement group is in one zone (Amazon EC2 User Guide, "Placement strategies"). */
function makePlacementGroup(name: string, { clusterName, keep }: EfaParts): $util.Output<string> {
  const fullName = `${clusterName}-${name}`;
  const made = new aws.ec2.PlacementGroup(
    `Cluster-${name}`,
    { name: fullName, strategy: "cluster", tags: { Name: fullName } },
    keep,
  );
  return made.name;
}

/**
 * Returns what all interfaces have. They name no subnet, because the node group does, and the cluster's security group,
 * because EKS adds it only to a template without groups (EKS User Guide, "Customize managed nodes with launch templates").
 * That group allows EFA between its members ("View Amazon EKS security group requirements for clusters").
 */
function sharedArgs(securityGroup: $util.Input<string>) {
  return {
    securityGroups: [securityGroup],
    // EC2 assigns no public address to a machine with several interfaces.
    associatePublicIpAddress: "false",
    deleteOnTermination: "true",
  };
}
