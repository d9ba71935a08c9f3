import { type EC2Client, paginateDescribeSubnets, type Subnet } from "@aws-sdk/client-ec2";
import type { Cluster, Nodegroup } from "@aws-sdk/client-eks";
import { checkAnswer, joinReports } from "../../../packages/aws/cluster-check/findings.ts";
import { listNodeGroups } from "../../../packages/aws/eks/node-groups.ts";
import type { ClusterReport, Finding } from "../../../packages/core/ports/cluster-report.ts";
import type { NodeGroup } from "../../cluster/node-group-schema.ts";
import { chooseAmi, chooseCapacity, EFA_TAG, listOwnGroups } from "../../cluster/node-groups.ts";
import type { Environment } from "../aws-client.ts";
import { askEc2, askEks } from "./ask-account.ts";
import type { ClusterStage } from "./check-new-cluster.ts";
import { hasTagsOfStage } from "./existing-cluster.ts";

const MOST_MS = 30_000;
const GUIDE = "docs/own-cluster.md#change-upgrade-remove";

/**
 * Finds parts of the stage's cluster that the settings lack or change, and that a deployment can neither remove nor
 * replace. It would fail half-way.
 */
export async function checkKeptParts(
  cluster: Cluster,
  stage: ClusterStage,
  environment: Environment,
): Promise<ClusterReport> {
  const { vpcId } = cluster.resourcesVpcConfig ?? {};
  const [subnets, groups] = await Promise.all([
    askEc2(environment, (ec2) => listSubnets(ec2, vpcId)),
    askEks(environment, (eks) => listNodeGroups(eks, stage.eksCluster, AbortSignal.timeout(MOST_MS))),
  ]);
  return joinReports([
    checkAnswer("network of the cluster", subnets, (found) =>
      reportAll([
        ...findZones(found, cluster, stage),
        ...findNetwork(found, cluster, stage),
        ...findAccess(cluster, stage),
      ]),
    ),
    checkAnswer("protected node groups", groups, (found) => reportAll(findGroups(found, cluster, stage))),
  ]);
}

function reportAll(findings: readonly Finding[]): ClusterReport {
  return { findings, leftOut: [] };
}

/** Lists the subnets in the cluster's network, with those that the control plane does not use. */
async function listSubnets(client: EC2Client, vpcId: string | undefined): Promise<Subnet[]> {
  if (!vpcId) return [];
  const found: Subnet[] = [];
  const Filters = [{ Name: "vpc-id", Values: [vpcId] }];
  for await (const { Subnets = [] } of paginateDescribeSubnets({ client }, { Filters })) found.push(...Subnets);
  return found;
}

/**
 * The control plane has network interfaces in the subnets of its creation, and EC2 deletes no subnet that has one. Pulumi
 * refuses to delete the others as long as the protection of the last deployment holds.
 */
function findZones(found: readonly Subnet[], { resourcesVpcConfig, ...cluster }: Cluster, stage: ClusterStage) {
  const kept = resourcesVpcConfig?.subnetIds ?? [];
  const isLacking = ({ AvailabilityZone = "" }: Subnet) => !stage.newCluster.zones.includes(AvailabilityZone);
  const first = listZones(found.filter((subnet) => isLacking(subnet) && kept.includes(subnet.SubnetId ?? "")));
  const made = listZones(found.filter((subnet) => isLacking(subnet) && isMade(subnet, stage)));
  const later = cluster.deletionProtection ? made.filter((zone) => !first.includes(zone)) : [];
  return [
    ...first.map((zone) => ({
      what: `zone ${zone} (EKS_ZONES)`,
      missing: `the control plane of ${stage.eksCluster} was made in it, and EKS keeps the zones of its creation`,
      todo: `Add it to EKS_ZONES again: ${GUIDE}`,
    })),
    ...later.map((zone) => ({
      what: `zone ${zone} (EKS_ZONES)`,
      missing: "the stage has made subnets in it, and they are protected",
      todo: `Add it again, and deploy with EKS_PROTECT=0 before you remove it: ${GUIDE}`,
    })),
  ];
}

function listZones(subnets: readonly Subnet[]): string[] {
  return [...new Set(subnets.map(({ AvailabilityZone = "" }) => AvailabilityZone))].toSorted();
}

function isMade({ Tags = [] }: Subnet, stage: ClusterStage): boolean {
  return hasTagsOfStage(Object.fromEntries(Tags.map(({ Key, Value = "" }) => [Key, Value])), stage);
}

/** EKS keeps the VPC of the creation (EKS User Guide, "View Amazon EKS networking requirements for VPC and subnets"). */
function findNetwork(
  found: readonly Subnet[],
  { resourcesVpcConfig: { vpcId } = {} }: Cluster,
  stage: ClusterStage,
): Finding[] {
  const { eksCluster, newCluster } = stage;
  const isOwn = found.some((subnet) => isMade(subnet, stage));
  if (found.length === 0 || (isOwn && !newCluster.subnets)) return [];
  const what = "VPC_SUBNETS";
  if (isOwn) {
    const missing = `the stage has made the network of ${eksCluster}, and a cluster stays in its network`;
    return [{ what, missing, todo: "Remove the setting" }];
  }
  if (!newCluster.subnets) {
    const missing = `${eksCluster} was made in subnets of yours, and a cluster stays in its network`;
    return [{ what, missing, todo: "Name them again" }];
  }
  return newCluster.subnets
    .filter((id) => !found.some(({ SubnetId }) => SubnetId === id))
    .map((id) => ({
      what: `${id} (${what})`,
      missing: `it is not in ${vpcId}, the network of ${eksCluster}`,
      todo: "Name a subnet of that network",
    }));
}

/** The security group of functions is made only for a private cluster, and is protected with it. */
function findAccess({ deletionProtection, resourcesVpcConfig }: Cluster, stage: ClusterStage): Finding[] {
  if (!deletionProtection || stage.newCluster.isPrivate || resourcesVpcConfig?.endpointPublicAccess !== false)
    return [];
  const missing = "the cluster is private, and the security group of its functions is protected";
  const todo = "Keep EKS_ACCESS=private, and deploy with EKS_PROTECT=0 before you change it";
  return [{ what: "EKS_ACCESS", missing, todo }];
}

/**
 * Pulumi refuses to delete or replace a group as long as the protection of the last deployment holds. EKS shows that of
 * the cluster.
 */
function findGroups(found: readonly Nodegroup[], { deletionProtection }: Cluster, stage: ClusterStage): Finding[] {
  if (!deletionProtection) return [];
  const { groups } = stage.newCluster;
  const names = listOwnGroups(stage.newCluster).map(({ name }) => name);
  return found
    .filter(({ tags = {} }) => hasTagsOfStage(tags, stage))
    .flatMap((made) => {
      const { nodegroupName = "" } = made;
      const what = `node group ${nodegroupName} (EKS_NODE_GROUPS)`;
      if (!names.includes(nodegroupName)) {
        const missing = "the stage has made it, its settings lack it, and it is protected";
        const todo = `Name it again, and deploy with EKS_PROTECT=0 before you remove it: ${GUIDE}`;
        return [{ what, missing, todo }];
      }
      const group = groups.find(({ name, zones }) => zones.some((zone) => `${name}-${zone}` === nodegroupName));
      const missing = (key: string) =>
        `its settings have another ${key}, for which it would be replaced, and it is protected`;
      const todo = `Add a group of another name instead: ${GUIDE}`;
      return group ? findReplacements(made, group).map((key) => ({ what, missing: missing(key), todo })) : [];
    });
}

/** Returns the keys for which the provider replaces a group (Pulumi Registry, "aws.eks.NodeGroup"). */
function findReplacements({ instanceTypes, amiType, capacityType, tags = {} }: Nodegroup, group: NodeGroup): string[] {
  const isOther = (found: string | undefined, wanted: string) => found !== undefined && found !== wanted;
  // The launch template has the type of a Capacity Block.
  const isOtherType = !group.capacityBlock && isOther(instanceTypes?.[0], group.type);
  return [
    ...(isOtherType ? ["type"] : []),
    ...(isOther(amiType, chooseAmi(group)) ? ["ami"] : []),
    ...(isOther(capacityType, chooseCapacity(group)) ? ["spot or capacityBlock"] : []),
    ...((tags[EFA_TAG] === "true") === (group.efa ?? false) ? [] : ["efa"]),
  ];
}
